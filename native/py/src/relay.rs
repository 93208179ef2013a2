//! `lockgate_native.relay`.
use pyo3::prelude::*;

#[pymodule]
pub(crate) mod relay {
    use std::net::{IpAddr, SocketAddr};
    use std::os::fd::{AsRawFd, RawFd};
    use std::time::Duration;

    use net::media;
    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;
    use pyo3::types::PyBytes;
    use relay_core::{BadKey, Event, Output, Twin};

    type Address = (String, u16);

    fn address((host, port): &Address) -> PyResult<SocketAddr> {
        let host: IpAddr = host
            .parse()
            .map_err(|_| PyValueError::new_err(format!("{host:?} is no IP address")))?;
        Ok(SocketAddr::new(host, *port))
    }

    /// What the trunk says of a key; a relay without one can't say anything.
    fn keyed<T>(said: Option<Result<T, BadKey>>) -> PyResult<T> {
        said.ok_or_else(|| PyValueError::new_err("the relay has no trunk to another host"))?
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn moment(now: f64) -> PyResult<Duration> {
        Duration::try_from_secs_f64(now).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// The relay's thread, and the sockets that it owns.
    #[pyclass(module = "lockgate_native.relay", frozen)]
    struct Engine(std::sync::Mutex<Option<media::Engine>>);

    impl Engine {
        fn with<T>(&self, use_it: impl FnOnce(&media::Engine) -> T) -> PyResult<T> {
            let held = self
                .0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            held.as_ref()
                .map(use_it)
                .ok_or_else(|| PyValueError::new_err("the relay is closed"))
        }
    }

    #[pymethods]
    impl Engine {
        #[new]
        fn new() -> PyResult<Self> {
            Ok(Self(std::sync::Mutex::new(Some(media::Engine::start()?))))
        }

        fn command<'py>(&self, py: Python<'py>, json: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
            let answer = py.detach(|| self.with(|it| it.command(json).write()))?;
            Ok(PyBytes::new(py, &answer))
        }

        fn offer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
            let offer = keyed(py.detach(|| self.with(media::Engine::offer))?)?;
            Ok(PyBytes::new(py, &offer))
        }

        fn accept(&self, py: Python<'_>, offer: &[u8]) -> PyResult<()> {
            keyed(py.detach(|| self.with(|it| it.accept(offer)))?)
        }

        fn fileno(&self) -> PyResult<RawFd> {
            self.with(AsRawFd::as_raw_fd)
        }

        fn take_events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
            let events = self.with(|it| Event::write(&it.take_events()))?;
            Ok(PyBytes::new(py, &events))
        }

        fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
            let counters =
                py.detach(|| self.with(|it| it.counters().unwrap_or_default().write()))?;
            Ok(PyBytes::new(py, &counters))
        }

        /// Sockets held: one for each stream and one for each viewer.
        fn sockets(&self, py: Python<'_>) -> PyResult<usize> {
            let counters = py
                .detach(|| self.with(media::Engine::counters))?
                .unwrap_or_default();
            Ok(counters.receiving_sockets + counters.sending_sockets)
        }

        fn close(&self, py: Python<'_>) {
            py.detach(|| {
                let held = self
                    .0
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .take();
                drop(held);
            });
        }
    }

    /// The same relay without sockets and clock.
    #[pyclass(module = "lockgate_native.relay")]
    struct Core(Twin);

    #[pymethods]
    impl Core {
        #[new]
        #[pyo3(signature = (seed = 0))]
        fn new(seed: u64) -> Self {
            Self(Twin::new(seed))
        }

        fn command<'py>(
            &mut self,
            py: Python<'py>,
            json: &[u8],
            now: f64,
        ) -> PyResult<Bound<'py, PyBytes>> {
            Ok(PyBytes::new(
                py,
                &self.0.command(json, moment(now)?).write(),
            ))
        }

        fn offer<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
            Ok(PyBytes::new(py, &keyed(self.0.offer())?))
        }

        fn accept(&mut self, offer: &[u8]) -> PyResult<()> {
            keyed(self.0.accept(offer))
        }

        #[allow(clippy::needless_pass_by_value)] // PyO3 hands arguments over as values
        fn feed(
            &mut self,
            port: Address,
            packet: &[u8],
            source: Address,
            now: f64,
        ) -> PyResult<()> {
            self.0
                .feed(address(&port)?, packet, address(&source)?, moment(now)?);
            Ok(())
        }

        fn advance(&mut self, now: f64) -> PyResult<()> {
            self.0.advance(moment(now)?);
            Ok(())
        }

        fn deadline(&self) -> Option<f64> {
            self.0.deadline().map(|it| it.as_secs_f64())
        }

        fn take_events<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
            PyBytes::new(py, &Event::write(&self.0.take_events()))
        }

        fn take_outputs<'py>(
            &mut self,
            py: Python<'py>,
        ) -> Vec<(Bound<'py, PyBytes>, Address, Address)> {
            let pair = |it: SocketAddr| (it.ip().to_string(), it.port());
            let outputs = self.0.take_outputs().into_iter();
            let written = outputs.map(
                |Output {
                     datagram,
                     destination,
                     port,
                 }| {
                    (PyBytes::new(py, &datagram), pair(destination), pair(port))
                },
            );
            written.collect()
        }

        fn counters<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
            PyBytes::new(py, &self.0.counters().write())
        }

        fn sockets(&self) -> usize {
            let counters = self.0.counters();
            counters.receiving_sockets + counters.sending_sockets
        }
    }
}
