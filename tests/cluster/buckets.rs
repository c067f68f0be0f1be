//! Buckets on the real S3 endpoint, filled by the real client.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use serde_json::{Value, json};

use crate::support::s3::{ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY, S3};

/// The document's own example, as it stands there.
pub const DOCUMENT: &str =
    include_str!("../../examples/document/buckets/com.my-company.counts/counts.csv");

/// A bucket of a test's own.
pub struct Bucket {
    pub name: String,
    client: Client,
}

impl Bucket {
    pub async fn create(name: &str) -> Self {
        let credentials = Credentials::new(
            ROOT_ACCESS_KEY_ID,
            ROOT_SECRET_ACCESS_KEY,
            None,
            None,
            "test",
        );
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(S3::shared().await.endpoint())
            .force_path_style(true)
            .credentials_provider(credentials)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        let client = Client::from_conf(config);
        client.create_bucket().bucket(name).send().await.unwrap();
        Self {
            name: name.to_owned(),
            client,
        }
    }

    pub async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let body = ByteStream::from(body.into());
        self.client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .body(body)
            .send()
            .await
            .unwrap();
    }

    /// A DataSource that reads the document's example from this bucket.
    pub async fn data_source(&self, name: &str) -> Value {
        self.data_source_at(name, &S3::shared().await.endpoint())
    }

    /// The same through another endpoint, such as a proxy's.
    pub fn data_source_at(&self, name: &str, endpoint: &str) -> Value {
        json!({
            "apiVersion": "sumsq.dev/v1alpha1",
            "kind": "DataSource",
            "metadata": {"name": name},
            "spec": {
                "displayName": "Internal Conversion Events",
                "goals": [{"code": "sales", "displayName": "Sales", "numeric": true}],
                "source": {"s3": {
                    "region": "us-east-1",
                    "bucket": self.name,
                    "key": "counts.csv",
                    "endpoint": endpoint,
                    "forcePathStyle": true,
                }},
            },
        })
    }
}
