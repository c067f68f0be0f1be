//! Kubernetes events: on a change and on a recovery, never on every success.

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};

use super::lease::Leadership;

/// The API server refuses a longer note.
const MAX_NOTE_BYTES: usize = 1024;

pub(super) struct Events {
    recorder: Recorder,
    leadership: Leadership,
}

/// One piece of news about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News {
    pub(super) warning: bool,
    /// CamelCase, from a closed list.
    pub(super) reason: String,
    pub(super) note: String,
}

impl Events {
    pub(super) fn new(client: Client, leadership: Leadership) -> Self {
        let reporter = Reporter {
            controller: "sumsq".to_owned(),
            instance: std::env::var("HOSTNAME")
                .ok()
                .filter(|name| !name.is_empty()),
        };
        Self {
            recorder: Recorder::new(client, reporter),
            leadership,
        }
    }

    /// Best effort: an event that is lost is no reason to fetch again.
    /// `action` is what the operator did, in CamelCase.
    pub(super) async fn publish<K>(&self, object: &K, action: &str, news: News)
    where
        K: Resource<DynamicType = ()>,
    {
        if !self.leadership.holds() {
            return;
        }
        let event = Event {
            type_: if news.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: news.reason,
            note: Some(cut(&news.note)),
            action: action.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an event was not published"
            );
        }
    }
}

/// To at most [`MAX_NOTE_BYTES`] bytes, at a character's end.
fn cut(note: &str) -> String {
    if note.len() <= MAX_NOTE_BYTES {
        return note.to_owned();
    }
    let ellipsis = '…';
    let end = note.floor_char_boundary(MAX_NOTE_BYTES - ellipsis.len_utf8());
    format!("{}{ellipsis}", &note[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_cut_at_a_characters_end() {
        assert_eq!(cut("short"), "short");
        for letter in ["a", "é", "€", "😀"] {
            let shown = cut(&letter.repeat(1024));
            assert!(
                shown.len() <= MAX_NOTE_BYTES,
                "{} bytes of {letter}",
                shown.len()
            );
            assert!(shown.len() > MAX_NOTE_BYTES - 7);
            assert!(shown.ends_with('…') || letter == "a" && shown.len() == MAX_NOTE_BYTES);
        }
    }
}
