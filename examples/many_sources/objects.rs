//! The objects on the API server, and their files.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use futures::{StreamExt, TryStreamExt, stream};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::PATIENCE;

/// Requests that make or change objects, on their way to the API server at once.
const AT_ONCE: usize = 32;
/// Of the S3 server.
const ACCESS_KEY: &str = "many-sources";
const SECRET_KEY: &str = "known-to-everybody-on-this-machine";

pub async fn namespaces(client: &Client, count: u32) -> Result<Vec<String>> {
    let names: Vec<String> = (0..count).map(|number| format!("team-{number}")).collect();
    let kind = ApiResource::erase::<Namespace>(&());
    let objects = names
        .iter()
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    create(client, &kind, objects).await?;
    Ok(names)
}

pub async fn secrets(client: &Client, namespaces: &[String]) -> Result<()> {
    let kind = ApiResource::erase::<Secret>(&());
    let objects = namespaces.iter().map(|namespace| {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "namespace": namespace, "name": "s3",
                "labels": {"sumsq.dev/credentials": "true"},
            },
            "stringData": {
                "accessKeyId": ACCESS_KEY,
                "secretAccessKey": SECRET_KEY,
            },
        })
    });
    create(client, &kind, objects).await
}

/// An S3 server over the folder, for as long as this process runs; its address.
pub async fn serve(buckets: &Path) -> Result<String> {
    let files = s3s_fs::FileSystem::new(buckets).map_err(|error| anyhow!("{error:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let service = service.build();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let server = Builder::new(TokioExecutor::new());
                server
                    .serve_connection(TokioIo::new(socket), service)
                    .await
                    .ok();
            });
        }
    });
    Ok(endpoint)
}

/// One agent with two variations, and as many days.
pub fn write_files(buckets: &Path, count: u32, days: u32) -> Result<()> {
    let folder = buckets.join("counts");
    std::fs::create_dir_all(&folder)?;
    let mut csv = String::from("Date,Agent,Variation,Sels,sales,sales_sumsq\n");
    for day in 1..=days {
        for variation in ["A", "B"] {
            let (date, sales) = (20_454 + day, 40 + day);
            writeln!(
                csv,
                "{},checkout,{variation},1000,{sales},{sales}",
                date * 86_400
            )?;
        }
    }
    for number in 0..count {
        std::fs::write(folder.join(format!("{number}.csv")), &csv)?;
    }
    Ok(())
}

pub fn data_source(namespaces: &[String], number: u32, endpoint: &str) -> Value {
    let namespace = namespace(namespaces, number);
    json!({
        "apiVersion": "sumsq.dev/v1alpha1", "kind": "DataSource",
        "metadata": {"namespace": namespace, "name": format!("counts-{number}")},
        "spec": {
            "displayName": format!("Counts {number}"),
            "schedule": "0 0 1 1 *",
            "goals": [{"code": "sales"}],
            "source": {"s3": {
                "bucket": "counts", "key": format!("{number}.csv"), "region": "us-east-1",
                "endpoint": endpoint, "forcePathStyle": true, "secretRef": {"name": "s3"},
            }},
        },
    })
}

pub async fn create(
    client: &Client,
    kind: &ApiResource,
    objects: impl Iterator<Item = Value>,
) -> Result<()> {
    stream::iter(objects)
        .map(|object| async move {
            let object: DynamicObject = serde_json::from_value(object)?;
            let api: Api<DynamicObject> = match object.namespace() {
                Some(namespace) => Api::namespaced_with(client.clone(), &namespace, kind),
                None => Api::all_with(client.clone(), kind),
            };
            api.create(&PostParams::default(), &object).await?;
            anyhow::Ok(())
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

pub async fn patch_all(
    client: &Client,
    kind: &ApiResource,
    namespaces: &[String],
    count: u32,
    patch: &Value,
) -> Result<()> {
    stream::iter(0..count)
        .map(|number| async move {
            let namespace = namespace(namespaces, number);
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, kind);
            let name = format!("counts-{number}");
            api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                .await?;
            anyhow::Ok(())
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Until the status of so many objects says that they were fetched with success at `since` or later.
pub async fn until_all(
    client: &Client,
    kind: &ApiResource,
    count: u32,
    since: Timestamp,
) -> Result<()> {
    until_so_many(client, kind, count, |object| {
        let success = object.data["status"]["lastSuccessTime"].as_str();
        success
            .and_then(|text| text.parse::<Timestamp>().ok())
            .is_some_and(|success| success >= since)
    })
    .await
}

/// Until so many objects of a kind are as they should be.
pub async fn until_so_many(
    client: &Client,
    kind: &ApiResource,
    count: u32,
    done: impl Fn(&DynamicObject) -> bool,
) -> Result<()> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), kind);
    let counting = async {
        let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
        let mut found = HashSet::new();
        while found.len() < usize::try_from(count)? {
            let event = events.try_next().await?.context("the watch ended")?;
            if let watcher::Event::InitApply(object) | watcher::Event::Apply(object) = event
                && done(&object)
            {
                found.insert((object.namespace(), object.name_any()));
            }
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, counting)
        .await
        .with_context(|| format!("not all {count} were done in time"))?
}

pub fn cron_job(namespaces: &[String], number: u32, schedule: &str) -> Value {
    let container = json!({"name": "fetch", "image": "fetch"});
    let pod = json!({"restartPolicy": "Never", "containers": [container]});
    let namespace = namespace(namespaces, number);
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"namespace": namespace, "name": format!("counts-{number}")},
        "spec": {
            "schedule": schedule, "timeZone": "Etc/UTC",
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
        },
    })
}

fn namespace(namespaces: &[String], number: u32) -> &str {
    &namespaces[number as usize % namespaces.len()]
}
