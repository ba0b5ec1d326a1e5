//! stub
use crate::aws::Clients; use crate::error::Result; use crate::interval::Interval;
#[allow(missing_docs)] pub struct Found { pub key: String, pub size: u64 }
#[allow(missing_docs)] pub struct Selection { pub interval: Interval, pub accounts: Vec<String>, pub insights: bool, pub concurrency: usize }
#[allow(missing_docs)] pub async fn list(_: &Clients, _: &str, _: &str, _: &Selection, _: tokio::sync::mpsc::Sender<Result<Vec<Found>>>) { todo!() }
