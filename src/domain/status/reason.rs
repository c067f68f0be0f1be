//! Reasons of a DataSource's conditions, beside those of a failed fetch, which are its
//! [`ErrorCode`](crate::domain::fetch::ErrorCode). docs/errors.md is written of what they mean.

/// What a reason says, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// The condition and its status, such as `Ready Unknown`.
    pub condition: &'static str,
    pub means: &'static str,
    pub remedy: &'static str,
}

macro_rules! reasons {
    ($($name:ident: $condition:literal, $means:literal, $remedy:literal;)*) => {
        /// A closed list, as Kubernetes' API conventions ask for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason { $($name,)* }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            #[must_use]
            pub fn meaning(self) -> Meaning {
                match self {
                    $(Self::$name => Meaning { condition: $condition, means: $means, remedy: $remedy },)*
                }
            }
        }
    };
}

reasons! {
    Imported: "Ready True", "the newest fetch brought its file in", "nothing";
    NotModified: "Ready True", "the file is the one that was imported before", "nothing";
    NotFetchedYet: "Ready Unknown", "the first fetch is under way", "wait";
    NoGoals: "Ready Unknown", "`spec.goals` is empty", "name the goals: it is fetched at once";
    Suspended: "Ready Unknown", "suspended before its first fetch", "`kubectl sumsq resume`, or request one fetch";
    SpecChanged: "Ready Unknown", "another source or other goals than those of the newest fetch", "wait; where it is suspended, resume it";
    Fetching: "Reconciling True", "a fetch has been under way for more than five seconds", "wait: it ends after `timeoutSeconds`";
    Queued: "Reconciling True", "the fetch waits for one of the operator's `--concurrency` workers", "wait; where it lasts: [SumsqQueueGrowing](runbooks/SumsqQueueGrowing.md)";
    WaitingForRetry: "Reconciling True", "the newest fetch failed, and is tried again", "what the reason of Ready says; `kubectl sumsq fetch` tries at once";
    InvalidSchedule: "Ready False, Stalled True", "`schedule` is no cron of five fields, or names no day that comes", "the message says what is wrong with it; nothing else helps";
    InvalidTimeZone: "Ready False, Stalled True", "`timeZone` is no name of the IANA time zones", "write one, such as Europe/Berlin";
    InvalidSpec: "Ready False, Stalled True", "a field holds what the definition should not have let in, most often an older one", "apply this version's definitions, then mend the fields that the message names";
    UnreadableSpec: "Ready False, Stalled True", "another version's definition let in what this version of the operator does not know", "run that version of the operator, or write what this one knows";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fetch::ErrorCode;

    #[test]
    fn no_reason_is_an_error_s_code_too() {
        for reason in Reason::ALL {
            let codes = ErrorCode::ALL.iter().map(|code| code.as_str());
            assert_eq!(codes.filter(|code| *code == reason.as_str()).count(), 0);
        }
    }
}
