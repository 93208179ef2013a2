//! `lockgate_native.load`: a fleet of devices as load for a registrar.
use pyo3::prelude::*;

#[pymodule]
pub(crate) mod load {
    use std::collections::HashMap;
    use std::net::{IpAddr, SocketAddr};
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    use load::{Latency, Pace, Terms, Work};
    use net::fleet::{Driver, Failed};
    use net::poll::monotonic;
    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;
    use sip_core::Time;

    const WORKS: [(&str, Work); 3] = [
        ("register", Work::Register),
        ("keepalive", Work::Keepalive),
        ("forged", Work::Forged),
    ];

    fn work(name: &str) -> PyResult<Work> {
        let found = WORKS.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, work)| *work)
            .ok_or_else(|| PyValueError::new_err(format!("{name:?} is no work of a fleet")))
    }

    fn address((host, port): &(String, u16)) -> PyResult<SocketAddr> {
        let host: IpAddr = host
            .parse()
            .map_err(|_| PyValueError::new_err(format!("{host:?} is no IP address")))?;
        Ok(SocketAddr::new(host, *port))
    }

    fn now() -> Time {
        Time::from_seconds(monotonic().as_secs_f64())
    }

    /// Devices, their sockets, and what they do.
    #[pyclass(module = "lockgate_native.load", frozen)]
    struct Fleet(Mutex<Driver>);

    impl Fleet {
        fn lock(&self) -> MutexGuard<'_, Driver> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[pymethods]
    impl Fleet {
        #[new]
        #[pyo3(signature = (server, local, *, server_id, domain, first_id, count, password, expires=3600, sockets=1, buffer=8_388_608, seed=1))]
        #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // keyword arguments of Python
        fn new(
            server: (String, u16),
            local: (String, u16),
            server_id: String,
            domain: String,
            first_id: String,
            count: u32,
            password: String,
            expires: u32,
            sockets: u16,
            buffer: usize,
            seed: u64,
        ) -> PyResult<Self> {
            let terms = Terms {
                server: address(&server)?,
                server_id,
                domain,
                first_id,
                count,
                password,
                expires,
                seed,
            };
            match Driver::bind(terms, address(&local)?, sockets, buffer) {
                Ok(driver) => Ok(Fleet(Mutex::new(driver))),
                Err(Failed::Terms(error)) => Err(PyValueError::new_err(error.0)),
                Err(Failed::System(error)) => Err(error.into()),
            }
        }

        #[pyo3(signature = (what, *, window=0, rate=0.0, count=None))]
        fn aim(&self, what: &str, window: u32, rate: f64, count: Option<u64>) -> PyResult<()> {
            let pace = match (window, rate > 0.0) {
                (1.., false) => Pace::Window(window),
                (0, true) => Pace::Rate(rate),
                _ => return Err(PyValueError::new_err("either a window or a rate")),
            };
            self.lock().fleet().aim(work(what)?, pace, count, now());
            Ok(())
        }

        fn rest(&self, what: &str) -> PyResult<()> {
            self.lock().fleet().rest(work(what)?);
            Ok(())
        }

        fn run(&self, py: Python<'_>, seconds: f64) -> PyResult<bool> {
            let lasting = Duration::try_from_secs_f64(seconds)
                .map_err(|error| PyValueError::new_err(error.to_string()))?;
            Ok(py.detach(|| self.lock().run(lasting))?)
        }

        fn counters(&self) -> HashMap<String, u64> {
            let mut driver = self.lock();
            let dropped = driver.dropped();
            let report = driver.fleet().report();
            let mut all: HashMap<String, u64> = [
                ("registered", report.registered),
                ("under_way", report.under_way),
                ("retransmitted", report.retransmitted),
                ("challenged", report.challenged),
                ("put_off", report.put_off),
                ("catalogs", report.catalogs),
                ("answered", report.answered),
                ("stray", report.stray),
                ("unreadable", report.unreadable),
                ("dropped", dropped),
            ]
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count))
            .collect();
            for (name, work) in WORKS {
                all.insert(format!("{name}_started"), report.started[work as usize]);
                all.insert(format!("{name}_finished"), report.finished[work as usize]);
                all.insert(format!("{name}_lost"), report.lost[work as usize]);
            }
            for ((refused, status), count) in &report.refused {
                let named = WORKS.iter().find(|(_, work)| work == refused);
                all.insert(
                    format!("{}_{status}", named.map_or("", |(name, _)| name)),
                    *count,
                );
            }
            all
        }

        fn latency(&self, what: &str) -> PyResult<(u64, f64, f64, f64)> {
            let work = work(what)?;
            let mut driver = self.lock();
            let latency: &Latency = &driver.fleet().report().latency[work as usize];
            let seconds = |micros| Time::from_micros(micros).seconds();
            Ok((
                latency.count(),
                seconds(latency.within(500)),
                seconds(latency.within(990)),
                seconds(latency.longest()),
            ))
        }

        fn forget_latency(&self) {
            self.lock().fleet().forget_latency();
        }
    }
}
