//! What a look has read, in the words of the plan.

use super::Wanted;
use crate::domain::data_source::DataSource;
use crate::domain::fetch::FetchRecord;
use crate::domain::plan::{FetchPlan, InFlight, Observed};
use crate::domain::status::Stored;
use crate::ingest::Known;
use crate::store::SourceRef;

pub(super) fn source_ref(source: &DataSource) -> SourceRef {
    SourceRef {
        id: source.id,
        key: source.key.clone(),
        uid: source.uid.clone(),
    }
}

pub(super) fn observed(wanted: &Wanted, stored: &Stored, in_flight: Option<InFlight>) -> Observed {
    Observed {
        newest: stored.history.first().cloned(),
        interrupted: if in_flight.is_some() {
            None
        } else {
            stored.unfinished.clone()
        },
        in_flight,
        requested: wanted.requested.clone(),
        force_requested: wanted.force_requested.clone(),
        handled: stored.handled_request.clone(),
        force_handled: stored.handled_force_request.clone(),
        cursor: stored.cursor.clone(),
        failures: stored.failures,
    }
}

/// The ETag to send: of what the store holds, or of what was refused last; either only where it
/// was read under the spec of today.
pub(super) fn known(source: &DataSource, plan: &FetchPlan, stored: &Stored) -> Known {
    let fingerprint = source.fingerprint();
    if plan.ignore_etag {
        return Known::default();
    }
    let newest = stored
        .history
        .first()
        .filter(|record| record.fingerprint == fingerprint);
    if let Some(error) = newest.and_then(FetchRecord::error)
        && error.refused_etag.is_some()
    {
        return Known {
            etag: error.refused_etag.clone(),
            refused: Some(error.clone()),
        };
    }
    let same_spec = stored.etag_fingerprint.as_deref() == Some(&fingerprint);
    Known {
        etag: stored.etag.clone().filter(|_| same_spec),
        refused: None,
    }
}
