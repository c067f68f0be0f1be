use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::http;
use kube::client::Body;
use serde_json::Value;

use super::*;

fn account(annotations: &[(&str, &str)]) -> Result<ServiceAccount, FetchError> {
    let annotations = annotations.iter();
    let annotations = annotations.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let metadata = RawMetadata {
        uid: "uid-1".to_owned(),
        annotations: annotations.collect(),
    };
    account_of("growth", "counts-reader", &RawAccount { metadata })
}

const ROLE: &str = "arn:aws:iam::123456789012:role/team/counts-reader";

#[test]
fn annotations_are_read_as_eks_has_them() {
    let plain = account(&[(ROLE_ARN, ROLE)]).unwrap();
    assert_eq!(plain.role_arn, ROLE);
    assert_eq!(plain.uid, "uid-1");
    assert!(plain.regional_sts);
    assert_eq!(plain.other_audience, None);
    let full = account(&[
        (ROLE_ARN, &format!(" {ROLE}\n")),
        (REGIONAL_STS, "false"),
        (AUDIENCE, "my-vault"),
    ]);
    let full = full.unwrap();
    assert_eq!(full.role_arn, ROLE);
    assert!(!full.regional_sts);
    assert_eq!(full.other_audience.as_deref(), Some("my-vault"));
    let same = account(&[(ROLE_ARN, ROLE), (AUDIENCE, TOKEN_AUDIENCE)]).unwrap();
    assert_eq!(same.other_audience, None);
}

#[test]
fn an_account_without_a_role_says_how_to_give_it_one() {
    for (annotations, says) in [
        (&[][..], "has no annotation eks.amazonaws.com/role-arn"),
        (&[(ROLE_ARN, " ")], "has no annotation"),
        (&[(ROLE_ARN, "counts-reader")], "is no role's ARN"),
        (
            &[(ROLE_ARN, "arn:aws:iam::123456789012:user/x")],
            "is no role's ARN",
        ),
        (
            &[(ROLE_ARN, "arn:aws:iam::12345678901x:role/x")],
            "is no role's ARN",
        ),
        (
            &[(ROLE_ARN, "arn:aws:iam::123456789012:role/")],
            "is no role's ARN",
        ),
        (
            &[(ROLE_ARN, "arn:aws:iam::123456789012:role/a b")],
            "is no role's ARN",
        ),
    ] {
        let error = account(annotations).unwrap_err();
        assert_eq!(error.class, ErrorCode::ServiceAccountInvalid);
        assert!(error.message.contains(says), "{}", error.message);
        assert!(error.hint.contains("annotate"), "{}", error.hint);
    }
}

#[test]
fn what_is_granted_is_this_account_alone() {
    insta::assert_snapshot!(grant("growth", "counts-reader", "system:serviceaccount:sumsq-system:sumsq"), @r#"
    apiVersion: rbac.authorization.k8s.io/v1
    kind: Role
    metadata:
      name: sumsq-counts-reader
      namespace: growth
    rules:
    - apiGroups: [""]
      resources: [serviceaccounts]
      resourceNames: [counts-reader]
      verbs: [get]
    - apiGroups: [""]
      resources: [serviceaccounts/token]
      resourceNames: [counts-reader]
      verbs: [create]
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: RoleBinding
    metadata:
      name: sumsq-counts-reader
      namespace: growth
    roleRef:
      apiGroup: rbac.authorization.k8s.io
      kind: Role
      name: sumsq-counts-reader
    subjects:
    - kind: ServiceAccount
      name: sumsq
      namespace: sumsq-system
    "#);
    let by_name = grant("growth", "r", "jane \"the\" admin");
    assert!(
        by_name.contains("- kind: User\n  name: \"jane \\\"the\\\" admin\""),
        "{by_name}"
    );
}

/// In the place of the API server: it answers this, whatever it is asked.
fn answering(status: u16, body: &Value) -> KubeServiceAccounts {
    let body = body.to_string().into_bytes();
    let answer = move |_: http::Request<Body>| {
        let answer = http::Response::builder()
            .status(status)
            .body(Body::from(body.clone()));
        std::future::ready(answer)
    };
    KubeServiceAccounts::new(Client::new(tower::service_fn(answer), "default"))
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Of this thread, in all its detail, until the guard goes.
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }
}

/// Who may patch an account may write there what Kubernetes' own clients cannot read.
fn odd_metadata() -> Value {
    json!({"name": "counts-reader", "uid": "uid-1", "annotations": {ROLE_ARN: ROLE},
        "managedFields": [{"time": "9999-12-31T00:00:00Z"}]})
}

#[tokio::test]
async fn what_else_stands_in_an_answer_is_not_looked_at_and_not_logged() {
    let (log, _until) = Log::begin();
    tracing::info!("what is logged is seen");
    let raw = json!({"kind": "ServiceAccount", "metadata": odd_metadata(), "secrets": 7});
    let accounts = answering(200, &raw);
    let account = accounts.read("growth", "counts-reader").await.unwrap();
    assert_eq!(
        (account.uid.as_str(), account.role_arn.as_str()),
        ("uid-1", ROLE)
    );
    for status in [
        json!({"token": "a.secret.token", "expirationTimestamp": "9999-12-31T00:00:00Z"}),
        // One that is none of ours to use.
        json!({"token": ["a.secret.token"]}),
    ] {
        let is_one = status["token"].is_string();
        let raw = json!({"kind": "TokenRequest", "metadata": odd_metadata(), "status": status});
        let token = answering(200, &raw).token(&account).await;
        let token = token
            .map(|WebToken(token)| token)
            .map_err(|error| error.class);
        let expected = Err(ErrorCode::ServiceAccountNotFound);
        assert_eq!(
            token,
            if is_one {
                Ok("a.secret.token".to_owned())
            } else {
                expected
            }
        );
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("what is logged is seen"), "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[tokio::test]
async fn what_no_account_can_be_is_told_without_it() {
    let raw = json!({"kind": "ServiceAccount", "metadata": {"annotations": ["a secret"]}});
    let accounts = answering(200, &raw);
    let error = accounts.read("growth", "counts-reader").await.unwrap_err();
    assert_eq!(error.class, ErrorCode::ServiceAccountInvalid);
    assert_eq!(
        error.message,
        "ServiceAccount growth/counts-reader is not one that can be read"
    );
    let gone = json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404});
    let error = answering(404, &gone).read("growth", "counts-reader").await;
    assert_eq!(error.unwrap_err().class, ErrorCode::ServiceAccountNotFound);
}
