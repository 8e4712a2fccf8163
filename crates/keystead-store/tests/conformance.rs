//! The embedded engine passes the cases that every engine passes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use keystead_store::{Store, StoreOptions, conformance};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_engine_conforms() {
    let scratch = tempfile::tempdir().unwrap();
    let open: conformance::Open = &|dir| {
        let options = StoreOptions::new(dir);
        Box::pin(async move { Ok(Store::open(options).await?) })
    };
    if let Err(failures) = conformance::run(scratch.path(), open).await {
        panic!("{failures}");
    }
}
