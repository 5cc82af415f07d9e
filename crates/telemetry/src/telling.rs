//! Says when spans begin to be lost and when that is over, and not each time in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// An exporter whose failures are told once.
#[derive(Debug)]
pub(crate) struct Telling<E> {
    exporter: E,
    losing: AtomicBool,
}

impl<E> Telling<E> {
    pub(crate) fn new(exporter: E) -> Self {
        let losing = AtomicBool::new(false);
        Self { exporter, losing }
    }

    /// Whether that is news.
    fn turns(&self, losing: bool) -> bool {
        self.losing.swap(losing, Ordering::Relaxed) != losing
    }

    fn tell(&self, done: &OTelSdkResult) {
        if !self.turns(done.is_err()) {
            return;
        }
        match done {
            Ok(()) => tracing::info!("the collector takes spans again"),
            Err(error) => tracing::warn!(
                %error,
                "the collector takes no spans; they are lost until it does, and nothing else is"
            ),
        }
    }
}

impl<E: SpanExporter> SpanExporter for Telling<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let done = self.exporter.export(batch).await;
        self.tell(&done);
        done
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_is_away_is_told_of_once_and_so_is_its_return() {
        let telling = Telling::new(());
        let news = [false, true, true, true, false, false, true].map(|lost| telling.turns(lost));
        assert_eq!(news, [false, true, false, false, true, false, true]);
    }
}
