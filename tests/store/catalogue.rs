//! What there is, as reports ask for it: the same steps on every store.

use sumsq::domain::agent::{Agent, AgentResource};
use sumsq::domain::agent_day::Day;
use sumsq::domain::data_source::{Dating, Goal, GoodDirection};
use sumsq::domain::description::Description;
use sumsq::domain::fetch::{Outcome, Trigger};
use sumsq::store::{SourceRef, Store};

use crate::story::import;
use crate::{begin, denied, end, now, plan, source};

pub async fn tell(store: &dyn Store) {
    a_source_is_found_by_its_name_while_its_object_is_there(store).await;
    every_change_that_a_report_shows_raises_the_version(store).await;
    the_newest_failure_is_told_until_a_success(store).await;
    agents_are_found_in_the_sources_that_hold_them(store).await;
    agent_resources_are_kept_and_let_go(store).await;
}

pub fn description(display_name: &str) -> Description {
    Description {
        display_name: display_name.into(),
        goals: vec![Goal {
            code: "sales".into(),
            display_name: Some("Sales".into()),
            numeric: true,
            allow_negative: false,
            good_direction: GoodDirection::Decrease,
        }],
        dating: Dating::Event,
        schedule: "0 9 * * *".into(),
        time_zone: "America/New_York".into(),
        jitter_seconds: 17,
        suspend: false,
        stalled: None,
        region: "us-east-1".into(),
        bucket: "counts".into(),
        key: "exports/counts.csv".into(),
    }
}

async fn version(store: &dyn Store, source: &SourceRef) -> u64 {
    store.source(&source.key).await.unwrap().unwrap().version
}

async fn a_source_is_found_by_its_name_while_its_object_is_there(store: &dyn Store) {
    let source = source("described");
    assert_eq!(store.source(&source.key).await.unwrap(), None);
    let stored = store.observe(&source, 1).await.unwrap();
    assert_eq!(stored.description, None);
    store
        .describe(source.id, &description("Tills"))
        .await
        .unwrap();
    let row = store.source(&source.key).await.unwrap().unwrap();
    assert_eq!(row.uid, source.uid);
    assert_eq!(row.description, Some(description("Tills")));
    assert_eq!(row.imported_at, None);
    let stored = store.observe(&source, 1).await.unwrap();
    assert_eq!(stored.description, Some(description("Tills")));

    store.retire(source.id).await.unwrap();
    assert_eq!(store.source(&source.key).await.unwrap(), None);
    store.observe(&source, 1).await.unwrap();
    let back = store.source(&source.key).await.unwrap().unwrap();
    assert_eq!(back.description, Some(description("Tills")));
}

async fn every_change_that_a_report_shows_raises_the_version(store: &dyn Store) {
    let source = source("versioned");
    store.observe(&source, 1).await.unwrap();
    let mut versions = vec![version(store, &source).await];
    store.describe(source.id, &description("A")).await.unwrap();
    versions.push(version(store, &source).await);
    import(store, &source, vec![("a", 1, 1)]).await;
    versions.push(version(store, &source).await);
    let fetch = store
        .begin_fetch(&begin(&source, plan(Trigger::Schedule)))
        .await
        .unwrap();
    assert_eq!(
        versions.last(),
        Some(&version(store, &source).await),
        "a fetch that has only begun shows nowhere"
    );
    store
        .complete_fetch(&end(&source, fetch, Outcome::NotModified))
        .await
        .unwrap();
    versions.push(version(store, &source).await);
    store.retire(source.id).await.unwrap();
    store.observe(&source, 1).await.unwrap();
    versions.push(version(store, &source).await);
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

async fn the_newest_failure_is_told_until_a_success(store: &dyn Store) {
    let source = source("failing");
    import(store, &source, vec![("a", 1, 1)]).await;
    let imported = store.source(&source.key).await.unwrap().unwrap();
    assert_eq!(imported.imported_at, imported.last_success_at);
    assert_eq!(imported.rows, Some(7));
    for (outcome, told, failures) in [
        (denied("no"), Some("AccessDenied: no".to_owned()), 1),
        (denied("no"), Some("AccessDenied: no".to_owned()), 2),
        (Outcome::NotModified, None, 0),
    ] {
        let fetch = store
            .begin_fetch(&begin(&source, plan(Trigger::Retry)))
            .await
            .unwrap();
        store
            .complete_fetch(&end(&source, fetch, outcome))
            .await
            .unwrap();
        let row = store.source(&source.key).await.unwrap().unwrap();
        assert_eq!(row.last_error.map(|error| error.to_string()), told);
        assert_eq!(row.failures, failures);
        assert_eq!(row.imported_at, imported.imported_at);
    }
}

async fn agents_are_found_in_the_sources_that_hold_them(store: &dyn Store) {
    let (tills, web) = (source("tills"), source("web"));
    let mut elsewhere = source("elsewhere");
    elsewhere.key.namespace = "other".into();
    elsewhere.id = sumsq::domain::data_source::SourceId::derive("other", "elsewhere");
    import(store, &tills, vec![("held", 1, 1), ("held", 3, 1)]).await;
    import(store, &web, vec![("held", 2, 1), ("only web's", 2, 1)]).await;
    import(store, &elsewhere, vec![("held", 9, 1)]).await;
    let holders = async |code| -> Vec<(String, u64, Day, Day)> {
        let holders = store.agent_holders("growth", code).await.unwrap();
        let rows = holders.into_iter();
        rows.map(|(source, agent)| (source.key.name, agent.days, agent.first_day, agent.last_day))
            .collect()
    };
    let web_s = ("web".to_owned(), 1, Day(2), Day(2));
    assert_eq!(
        holders("held").await,
        [("tills".to_owned(), 2, Day(1), Day(3)), web_s.clone()]
    );
    assert_eq!(holders("only web's").await, [web_s]);
    assert_eq!(holders("nowhere").await, []);
    store.retire(tills.id).await.unwrap();
    assert_eq!(holders("held").await.len(), 1);
    let listed = store.agent_list().await.unwrap();
    let held: Vec<_> = listed
        .iter()
        .filter(|(_, agent)| agent.code == "held")
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(held, [web.id, elsewhere.id]);
}

async fn agent_resources_are_kept_and_let_go(store: &dyn Store) {
    let resource = |namespace: &str, name: &str| AgentResource {
        namespace: namespace.into(),
        name: name.into(),
        uid: "1".into(),
        created_at: now(),
        agent: Agent {
            code: "agent/1 é".into(),
            display_name: None,
            goals: vec!["sales".into()],
            baseline: Some("A".into()),
            target_lift: Some(0.02),
            variations: Vec::new(),
        },
    };
    let (first, second) = (resource("growth", "b"), resource("other", "a"));
    assert!(store.put_agent(&first).await.unwrap());
    assert!(store.put_agent(&second).await.unwrap());
    assert!(!store.put_agent(&first).await.unwrap(), "as it is");
    let mut renamed = first.clone();
    renamed.agent.display_name = Some("Checkout".into());
    assert!(store.put_agent(&renamed).await.unwrap());
    let kept = async |namespace| store.agent_resources(namespace).await.unwrap();
    assert_eq!(kept(None).await, [renamed.clone(), second]);
    assert_eq!(kept(Some("growth")).await, [renamed]);
    for _ in 0..2 {
        store.remove_agent("growth", "b").await.unwrap();
        assert_eq!(kept(Some("growth")).await, []);
    }
}
