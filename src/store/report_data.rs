//! From the store to what a report is made of: which sources hold an agent, which of them a report
//! is about, and its days.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{AgentRow, SourceRow, Store, StoreError};
use crate::domain::agent::{AgentResource, in_force};
use crate::domain::agent_day::{AgentDay, Day};
use crate::domain::report::{AgentData, SourceData};

/// The sources of one namespace that reports of an agent may be about.
#[derive(Debug, Clone)]
pub struct AgentSources {
    /// As written in the CSV.
    pub code: String,
    /// The Agent resource that counts, where there is one.
    pub resource: Option<AgentResource>,
    /// The one with the newest data first; never empty.
    pub holders: Vec<Holder>,
}

/// A source and what it holds of the agent.
#[derive(Debug, Clone)]
pub struct Holder {
    pub source: Arc<SourceRow>,
    pub agent: AgentRow,
}

impl AgentSources {
    /// None where no source of the namespace holds the agent. Where an Agent resource names goals,
    /// sources that have none of them are not among the holders.
    ///
    /// # Errors
    /// The store's own.
    pub async fn find(
        store: &dyn Store,
        namespace: &str,
        code: &str,
    ) -> Result<Option<Self>, StoreError> {
        let held = store.agent_holders(namespace, code).await?;
        if held.is_empty() {
            return Ok(None);
        }
        let resources = store.agent_resources(Some(namespace)).await?;
        Ok(Self::of(code, held, &resources))
    }

    /// As [`AgentSources::find`], of what is known already.
    #[must_use]
    pub fn of<S: Into<Arc<SourceRow>>>(
        code: &str,
        held: Vec<(S, AgentRow)>,
        resources: &[AgentResource],
    ) -> Option<Self> {
        let resource = in_force(resources, code).cloned();
        let mut holders: Vec<_> = held
            .into_iter()
            .map(|(source, agent)| Holder {
                source: source.into(),
                agent,
            })
            .filter(|holder| holder.shares_a_goal(resource.as_ref()))
            .collect();
        holders.sort_by(|a, b| {
            let newest =
                |holder: &Holder| Reverse((holder.agent.last_day, holder.source.imported_at));
            newest(a)
                .cmp(&newest(b))
                .then_with(|| a.source.key.cmp(&b.source.key))
        });
        (!holders.is_empty()).then(|| Self {
            code: code.to_owned(),
            resource,
            holders,
        })
    }

    /// The source of that name, or by default the one with the newest data; None where the name is
    /// of no holder.
    #[must_use]
    pub fn chosen(&self, data_source: Option<&str>) -> Option<&Holder> {
        match data_source {
            Some(name) => self
                .holders
                .iter()
                .find(|holder| holder.source.key.name == name),
            None => self.holders.first(),
        }
    }

    /// All that `holder` holds of the agent. A report looks at every day, also those outside of its
    /// view: they say what the choices are.
    ///
    /// # Errors
    /// The store's own.
    pub async fn load(&self, store: &dyn Store, holder: &Holder) -> Result<AgentData, StoreError> {
        let days = store
            .agent_days(holder.source.id, &self.code, Day::MIN, Day::MAX)
            .await?;
        Ok(self.data(holder, days))
    }

    /// With days that have been read already.
    #[must_use]
    pub fn data(&self, holder: &Holder, days: Vec<AgentDay>) -> AgentData {
        AgentData {
            code: self.code.clone(),
            resource: self
                .resource
                .as_ref()
                .map(|resource| resource.agent.clone()),
            source: holder.source_data(days),
        }
    }
}

impl Holder {
    #[must_use]
    pub fn source_data(&self, days: Vec<AgentDay>) -> SourceData {
        let source = &self.source;
        SourceData {
            key: source.key.clone(),
            // Every holder has one: others are not taken for holders.
            description: source.description.clone().unwrap_or_default(),
            data_as_of: source.last_success_at,
            imported_at: source.imported_at,
            last_error: source.last_error.clone(),
            days,
        }
    }

    fn shares_a_goal(&self, resource: Option<&AgentResource>) -> bool {
        let Some(description) = &self.source.description else {
            // Kept by an older version; the next look at its object describes it.
            return false;
        };
        // Of an object that was never read no goal is known, and what it holds is still shown.
        if description.goals.is_empty() && description.stalled.is_some() {
            return true;
        }
        resource.is_none_or(|resource| {
            description
                .goals
                .iter()
                .any(|goal| resource.agent.includes_goal(&goal.code))
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::agent::Agent;
    use crate::domain::data_source::{Goal, GoodDirection, SourceId, SourceKey};
    use crate::domain::description::Description;

    fn held(name: &str, goal: &str, last_day: i32, imported: i64) -> (SourceRow, AgentRow) {
        let goal = Goal {
            code: goal.into(),
            display_name: None,
            numeric: false,
            allow_negative: false,
            good_direction: GoodDirection::Increase,
        };
        let source = SourceRow {
            id: SourceId::derive("growth", name),
            key: SourceKey {
                namespace: "growth".into(),
                name: name.into(),
            },
            uid: String::new(),
            present: true,
            description: Some(Description {
                goals: vec![goal],
                ..Description::default()
            }),
            agent_count: 1,
            rows: None,
            first_day: None,
            last_day: None,
            last_fetch_at: None,
            last_success_at: None,
            imported_at: Timestamp::from_second(imported).ok(),
            last_error: None,
            missed_fetches: 0,
            failures: 0,
            reader: None,
            version: 1,
        };
        let agent = AgentRow {
            code: "x".into(),
            days: 1,
            first_day: Day(1),
            last_day: Day(last_day),
        };
        (source, agent)
    }

    fn resource(goals: &[&str]) -> AgentResource {
        AgentResource {
            namespace: "growth".into(),
            name: "x".into(),
            uid: String::new(),
            created_at: Timestamp::UNIX_EPOCH,
            agent: Agent {
                code: "x".into(),
                display_name: None,
                goals: goals.iter().map(ToString::to_string).collect(),
                baseline: None,
                target_lift: None,
                variations: Vec::new(),
            },
        }
    }

    #[test]
    fn the_source_with_the_newest_data_is_the_default() {
        let all = [
            held("c", "sales", 5, 10),
            held("b", "sales", 5, 20),
            held("a", "sales", 4, 30),
            held("d", "visits", 5, 20),
        ];
        for (goals, expected) in [
            (None, vec!["b", "d", "c", "a"]),
            (Some(vec![]), vec!["b", "d", "c", "a"]),
            (Some(vec!["sales"]), vec!["b", "c", "a"]),
            (Some(vec!["visits"]), vec!["d"]),
            (Some(vec!["other"]), vec![]),
        ] {
            let resources: Vec<_> = goals.iter().map(|goals| resource(goals)).collect();
            let sources = AgentSources::of("x", all.to_vec(), &resources);
            let names: Vec<_> = sources
                .iter()
                .flat_map(|sources| &sources.holders)
                .map(|holder| holder.source.key.name.as_str())
                .collect();
            assert_eq!(names, expected, "{goals:?}");
        }
        let sources = AgentSources::of("x", all.to_vec(), &[]).unwrap();
        let chosen = |name| {
            sources
                .chosen(name)
                .map(|holder| holder.source.key.name.as_str())
        };
        assert_eq!(chosen(None), Some("b"));
        assert_eq!(chosen(Some("a")), Some("a"));
        assert_eq!(chosen(Some("elsewhere")), None);
    }
}
