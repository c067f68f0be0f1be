//! Whether a report can be trusted, for the status of an Agent resource.

use super::view::{Concern, Severity, TestingReport};

/// The first alarm, where there is one.
#[must_use]
pub fn untrustworthy(report: &TestingReport) -> Option<&Concern> {
    report
        .concerns
        .iter()
        .find(|concern| concern.severity == Severity::Alarm)
}
