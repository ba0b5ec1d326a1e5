//! stub
use std::sync::Arc; use crate::config::Config; use crate::error::Result; use crate::metrics::Metrics; use crate::log::Log;
#[derive(Clone, Debug)] #[allow(missing_docs)] pub struct Clients { pub s3: aws_sdk_s3::Client, pub sqs: aws_sdk_sqs::Client, pub region: String }
#[allow(missing_docs)]
impl Clients {
 pub async fn connect(_: &Config, _: Arc<Metrics>, _: Arc<Log>) -> Result<Clients> { todo!() }
 pub async fn check_bucket(&self, _: &str) -> Result<()> { todo!() }
 pub async fn download(&self, _: &str, _: &str, _: u64) -> std::result::Result<Vec<u8>, FetchError> { todo!() }
 pub async fn queue_url(&self, _: &str, _: &str) -> Result<String> { todo!() }
}
#[derive(Debug)] #[allow(missing_docs)] pub struct FetchError { pub kind: FetchErrorKind, pub message: String }
#[derive(Debug, Clone, Copy)] #[allow(missing_docs)] pub enum FetchErrorKind { NotFound, Denied, TooLarge, Expired, Transient }
#[allow(missing_docs)] pub struct Described; impl std::fmt::Display for Described { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
#[allow(missing_docs)] impl Described { pub fn is_denied(&self) -> bool { false } }
#[allow(missing_docs)] pub fn describe<E, R>(_: &aws_sdk_sqs::error::SdkError<E, R>) -> Described { Described }
