//! The Python surface: converts, releases the GIL, decides nothing.
use pyo3::prelude::*;

mod audit;
mod catalog;
mod load;
mod manscdp;
mod relay;
mod sip;

#[pymodule]
mod lockgate_native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::audit::audit;
    #[pymodule_export]
    use super::catalog::catalog;
    #[pymodule_export]
    use super::load::load;
    #[pymodule_export]
    use super::manscdp::manscdp;
    #[pymodule_export]
    use super::relay::relay;
    #[pymodule_export]
    use super::sip::sip;

    /// Submodules of an extension are importable only once they stand in `sys.modules`.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let modules = module.py().import("sys")?.getattr("modules")?;
        for name in ["audit", "sip", "manscdp", "catalog", "relay", "load"] {
            modules.set_item(format!("lockgate_native.{name}"), module.getattr(name)?)?;
        }
        Ok(())
    }
}
