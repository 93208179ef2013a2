//! Digests: who may register by what, what was not right lately, and our own answers to challenges.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use sip_core::Time;
use sip_core::codec::Span;
use sip_core::digest::{self, Algorithm, Hex, Qop, Request, Secret};

use super::given::fault;

/// Algorithm and HA1.
pub(super) type Given = (PyBackedStr, Option<PyBackedStr>);

fn algorithm(name: &str) -> PyResult<Algorithm> {
    Algorithm::ALL
        .into_iter()
        .find(|one| one.name() == name)
        .ok_or_else(|| fault(format!("not an algorithm: {name:?}")))
}

fn counting(name: &str) -> PyResult<Qop> {
    Qop::ALL
        .into_iter()
        .find(|one| one.name() == name)
        .ok_or_else(|| fault(format!("neither both nor none nor auth: {name:?}")))
}

pub(super) fn set(
    core: &mut sip_core::Core,
    user: &str,
    given: &[Given],
    qop: &str,
) -> PyResult<()> {
    let given: Vec<(Algorithm, Option<&str>)> = given
        .iter()
        .map(|(name, ha1)| PyResult::Ok((algorithm(name)?, ha1.as_deref())))
        .collect::<PyResult<_>>()?;
    let qop = counting(qop)?;
    core.set_credentials(user, &given, qop).map_err(fault)
}

/// What was wrong, when, from which address, for which Request-URI; what stood in the digest (user name,
/// realm, URI, algorithm, qop, nonce count, nonce, how many digits of response); when that nonce was issued.
pub(super) type Attempt = (
    &'static str,
    f64,
    String,
    String,
    (
        String,
        String,
        String,
        String,
        String,
        String,
        String,
        usize,
    ),
    Option<f64>,
);

pub(super) fn attempts(core: &sip_core::Core, user: &str) -> Vec<Attempt> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    core.attempts(user.as_bytes())
        .map(|(one, issued)| {
            let (given, bytes) = (one.given(), one.credentials());
            let said = |span: Span| text(span.of(bytes));
            let inputs = (
                said(given.username),
                said(given.realm),
                said(given.uri),
                said(given.algorithm),
                said(given.qop),
                said(given.nc),
                said(given.nonce),
                given.response.of(bytes).len(),
            );
            (
                one.why.name(),
                one.at.seconds(),
                one.source.to_canonical().to_string(),
                text(one.target()),
                inputs,
                issued.map(Time::seconds),
            )
        })
        .collect()
}

/// H(user:realm:password) in hex.
#[pyfunction]
#[pyo3(signature = (user, realm, password, algorithm="MD5"))]
#[allow(clippy::needless_pass_by_value)] // extracted from Python
pub(super) fn ha1(user: &str, realm: &str, password: &str, algorithm: &str) -> PyResult<String> {
    let algorithm = self::algorithm(algorithm)?;
    let hex = digest::ha1(algorithm, user, realm, password);
    Ok(hex.text().to_owned())
}

fn answer(
    challenges: &[PyBackedStr],
    username: &str,
    secret: &Secret<'_>,
    request: &Request<'_>,
) -> PyResult<String> {
    let challenges: Vec<&str> = challenges.iter().map(|one| &**one).collect();
    digest::authorize(&challenges, username, secret, request).map_err(fault)
}

/// The value of the Authorization header that answers the strongest of some challenges by a password.
#[pyfunction]
#[pyo3(signature = (challenges, username, password, method, uri, cnonce, nc=1, *, body=b"".as_slice(), qop="both"))]
#[allow(clippy::needless_pass_by_value, clippy::too_many_arguments)] // as Python gives it
pub(super) fn authorize(
    challenges: Vec<PyBackedStr>,
    username: &str,
    password: &str,
    method: &str,
    uri: &str,
    cnonce: &str,
    nc: u32,
    body: &[u8],
    qop: &str,
) -> PyResult<String> {
    let request = Request {
        method,
        uri,
        cnonce,
        nc,
        body,
        qop: counting(qop)?,
    };
    answer(&challenges, username, &Secret::Password(password), &request)
}

/// The same by what is kept instead of the password.
#[pyfunction]
#[pyo3(signature = (challenges, username, realm, keys, method, uri, cnonce, nc=1, *, body=b"".as_slice(), qop="both"))]
#[allow(clippy::needless_pass_by_value, clippy::too_many_arguments)] // as Python gives it
pub(super) fn respond(
    challenges: Vec<PyBackedStr>,
    username: &str,
    realm: &str,
    keys: Vec<(PyBackedStr, PyBackedStr)>,
    method: &str,
    uri: &str,
    cnonce: &str,
    nc: u32,
    body: &[u8],
    qop: &str,
) -> PyResult<String> {
    let keys: Vec<(Algorithm, Hex)> = keys
        .iter()
        .map(|(name, ha1)| {
            let algorithm = algorithm(name)?;
            let key = digest::unhex(ha1.as_bytes()).filter(|key| key.len() == algorithm.bytes());
            let key = key.ok_or_else(|| fault(format!("not an HA1 of {name}")))?;
            Ok((algorithm, Hex::of(&key)))
        })
        .collect::<PyResult<_>>()?;
    let secret = Secret::Ha1 { realm, keys: &keys };
    let request = Request {
        method,
        uri,
        cnonce,
        nc,
        body,
        qop: counting(qop)?,
    };
    answer(&challenges, username, &secret, &request)
}
