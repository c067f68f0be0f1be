//! Roles that ServiceAccounts have, and roles that are assumed: STS and IAM of a real server, which
//! holds trust policies, external IDs and sessions' signatures as AWS does. What it does not look at
//! is looked at on its way.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use insta::assert_snapshot;
use serde_json::{Value, json};
use sumsq::domain::data_source::{AssumedRole, Identity, S3Object};
use sumsq::domain::fetch::FetchError;
use sumsq::object::{
    Base, Objects, SecretCredentials, ServiceAccount, ServiceAccounts, Setup, WebToken,
};

use crate::fixture::{Bucket, CSV, KEY, LIMIT, body, keys, read, root, setup, shown};
use crate::support::s3::S3;
use crate::support::tee::{Tee, value};

/// Not signed: of the service account `counts-reader` in namespace `growth`, for the audience
/// `sts.amazonaws.com`, by the issuer `https://oidc.eks.us-east-1.amazonaws.com/id/ABC`.
const TOKEN: &str = concat!(
    "e30.",
    "eyJpc3MiOiJodHRwczovL29pZGMuZWtzLnVzLWVhc3QtMS5hbWF6b25hd3MuY29tL2lkL0FCQyIsInN1YiI6InN5",
    "c3RlbTpzZXJ2aWNlYWNjb3VudDpncm93dGg6Y291bnRzLXJlYWRlciIsImF1ZCI6WyJzdHMuYW1hem9uYXdzLmNvbSJdfQ",
    ".e30"
);
const ISSUER: &str = "oidc.eks.us-east-1.amazonaws.com/id/ABC";

/// Accounts of which each has this token, and how many were asked for.
#[derive(Default)]
struct Accounts {
    tokens: AtomicUsize,
}

#[async_trait]
impl ServiceAccounts for Accounts {
    async fn read(&self, _: &str, _: &str) -> Result<ServiceAccount, FetchError> {
        unreachable!("the caller has read it")
    }

    async fn token(&self, _: &ServiceAccount) -> Result<WebToken, FetchError> {
        self.tokens.fetch_add(1, Ordering::Relaxed);
        Ok(WebToken(TOKEN.to_owned()))
    }
}

impl Accounts {
    fn asked(&self) -> usize {
        self.tokens.load(Ordering::Relaxed)
    }

    async fn sign_in(
        &self,
        objects: &Objects,
        object: &S3Object,
        role_arn: &str,
    ) -> Result<SecretCredentials, FetchError> {
        let base = Base::Account {
            account: account(role_arn),
            accounts: self,
        };
        let signs = objects.sign_in(object, "growth", base).await?;
        Ok(signs.expect("an account signs for itself"))
    }
}

fn account(role_arn: &str) -> ServiceAccount {
    ServiceAccount {
        namespace: "growth".to_owned(),
        name: "counts-reader".to_owned(),
        uid: "uid-1".to_owned(),
        role_arn: role_arn.to_owned(),
        regional_sts: true,
        other_audience: None,
    }
}

/// Lets this subject's tokens for this audience in.
fn trusts(subject: &str, audience: &str) -> Value {
    json!({
        "Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::000000000000:oidc-provider/{ISSUER}")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {(format!("{ISSUER}:sub")): subject},
            // AWS takes the one audience of a list for itself; this server does not.
            "ForAnyValue:StringEquals": {(format!("{ISSUER}:aud")): audience},
        },
    })
}

fn trusts_us() -> Value {
    trusts(
        "system:serviceaccount:growth:counts-reader",
        "sts.amazonaws.com",
    )
}

fn reads(bucket: &str) -> Value {
    json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/*")})
}

/// Reads nothing that is there.
fn reads_nothing() -> Value {
    reads("no-bucket-of-this-name")
}

/// Which STS is asked: by setting, as an operator's environment would say.
async fn objects(sts: &str) -> Objects {
    Objects::with(Setup {
        sts_endpoint: Some(sts.to_owned()),
        ..setup()
    })
    .await
}

async fn of_account(bucket: &Bucket) -> S3Object {
    let mut object = bucket.object(KEY).await;
    object.identity = Identity::ServiceAccount {
        name: "counts-reader".to_owned(),
    };
    object
}

fn assumes(role: &str, external_id: Option<&str>) -> AssumedRole {
    AssumedRole {
        arn: role.to_owned(),
        external_id: external_id.map(str::to_owned),
    }
}

#[tokio::test]
async fn an_accounts_role_reads_and_is_asked_for_once() {
    let bucket = Bucket::new().await;
    let s3 = S3::shared().await;
    let role = s3.iam_role(trusts_us(), reads(&bucket.name)).await;
    let sts = Tee::before(&s3.endpoint()).await;
    let store = Tee::before(&s3.endpoint()).await;
    let mut object = of_account(&bucket).await;
    object.endpoint = Some(store.endpoint());
    let objects = objects(&sts.endpoint()).await;
    let accounts = Accounts::default();
    for _ in 0..2 {
        let signs = accounts.sign_in(&objects, &object, &role).await.unwrap();
        let opened = objects.open(&object, "growth", Some(&signs), None, LIMIT);
        assert_eq!(read(body(opened.await)).await.unwrap(), CSV);
        let reader = objects.reader(&object, "growth", Some(&signs)).await;
        assert_eq!(reader.as_ref(), Some(&role));
    }
    assert_eq!(accounts.asked(), 1);
    let forms = sts.forms("AssumeRoleWithWebIdentity");
    assert_eq!(forms.len(), 1, "{forms:?}");
    for (name, expected) in [
        ("RoleArn", role.as_str()),
        ("WebIdentityToken", TOKEN),
        ("RoleSessionName", "sumsq-growth-counts-reader"),
    ] {
        assert_eq!(value(&forms[0], name), expected);
    }
    // Who has the token can be the account: the store is not shown it.
    assert!(store.asked().contains("GET /counts-"));
    assert!(!store.asked().contains(TOKEN));
    assert!(!store.asked().contains("Action="));
}

#[tokio::test]
async fn a_session_is_of_one_account_and_one_role() {
    let bucket = Bucket::new().await;
    let s3 = S3::shared().await;
    let one = s3.iam_role(trusts_us(), reads(&bucket.name)).await;
    let two = s3.iam_role(trusts_us(), reads(&bucket.name)).await;
    let object = of_account(&bucket).await;
    let objects = objects(&s3.endpoint()).await;
    let accounts = Accounts::default();
    let mut ids = Vec::new();
    for (namespace, uid, role) in [
        ("growth", "uid-1", &one),
        ("growth", "uid-2", &one),
        ("growth", "uid-1", &two),
        ("growth", "uid-1", &one),
    ] {
        let account = ServiceAccount {
            uid: uid.to_owned(),
            ..account(role)
        };
        let base = Base::Account {
            account,
            accounts: &accounts,
        };
        let signs = objects.sign_in(&object, namespace, base).await.unwrap();
        ids.push(signs.unwrap().access_key_id);
    }
    assert_eq!(ids[0], ids[3]);
    ids.pop();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(accounts.asked(), 3);
}

#[tokio::test]
async fn a_session_that_is_refused_is_asked_for_anew() {
    let bucket = Bucket::new().await;
    let s3 = S3::shared().await;
    let role = s3.iam_role(trusts_us(), reads_nothing()).await;
    let object = of_account(&bucket).await;
    let objects = objects(&s3.endpoint()).await;
    let accounts = Accounts::default();
    for attempt in 1..=2 {
        let signs = accounts.sign_in(&objects, &object, &role).await.unwrap();
        assert_eq!(accounts.asked(), attempt);
        let opened = objects.open(&object, "growth", Some(&signs), None, LIMIT);
        let error = opened.await.expect_err("nothing is granted");
        assert_eq!(error.class.as_str(), "AccessDenied");
        // The role is who a policy must name, not its session.
        let granted = format!("\"AWS\": \"{role}\"");
        assert!(error.policies[0].statement.contains(&granted), "{error:?}");
    }
}

#[tokio::test]
async fn a_trust_policy_for_somebody_else_is_explained() {
    let bucket = Bucket::new().await;
    let s3 = S3::shared().await;
    let object = of_account(&bucket).await;
    let objects = objects(&s3.endpoint()).await;
    let of_others = [
        trusts(
            "system:serviceaccount:other:counts-reader",
            "sts.amazonaws.com",
        ),
        trusts("system:serviceaccount:growth:counts-reader", "vault"),
    ];
    let mut texts = Vec::new();
    for trusts in of_others {
        let role = s3.iam_role(trusts, reads(&bucket.name)).await;
        let refused = Accounts::default().sign_in(&objects, &object, &role).await;
        let error = refused.expect_err("it trusts another");
        texts.push(shown(&error, &object).replace(&role, "arn:aws:iam::000000000000:role/ROLE"));
    }
    assert_eq!(texts[0], texts[1]);
    assert_snapshot!(texts[0], @r#"
    AccessDenied (AssumeRoleFailed)
    Not authorized to perform sts:AssumeRoleWithWebIdentity
    STS does not give ServiceAccount growth/counts-reader the role arn:aws:iam::000000000000:role/ROLE. It must exist, and its trust policy must allow sts:AssumeRoleWithWebIdentity to subject system:serviceaccount:growth:counts-reader with audience sts.amazonaws.com (the statement is ready); its account must have an OIDC provider for https://oidc.eks.us-east-1.amazonaws.com/id/ABC.
    trust policy: {
      "Sid": "LetSumsqTakeThisRole",
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::000000000000:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
      },
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {
        "StringEquals": {
          "oidc.eks.us-east-1.amazonaws.com/id/ABC:aud": "sts.amazonaws.com",
          "oidc.eks.us-east-1.amazonaws.com/id/ABC:sub": "system:serviceaccount:growth:counts-reader"
        }
      }
    }
    "#);
}

#[tokio::test]
async fn an_account_assumes_a_role_by_the_tenants_external_id() {
    let bucket = Bucket::new().await;
    let s3 = S3::shared().await;
    let base = s3
        .iam_role(
            trusts_us(),
            json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}),
        )
        .await;
    let trust = json!({
        "Effect": "Allow", "Principal": {"AWS": base}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "growth-2026"}},
    });
    let role = s3.iam_role(trust, reads(&bucket.name)).await;
    let sts = Tee::before(&s3.endpoint()).await;
    let objects = objects(&sts.endpoint()).await;
    let accounts = Accounts::default();
    let mut object = of_account(&bucket).await;
    object.role = Some(assumes(&role, Some("growth-2026")));
    for _ in 0..2 {
        let signs = accounts.sign_in(&objects, &object, &base).await.unwrap();
        let opened = objects.open(&object, "growth", Some(&signs), None, LIMIT);
        assert_eq!(read(body(opened.await)).await.unwrap(), CSV);
        let reader = objects.reader(&object, "growth", Some(&signs)).await;
        assert_eq!(reader.as_ref(), Some(&role));
    }
    let forms = sts.forms("AssumeRole");
    assert_eq!(forms.len(), 1, "{forms:?}");
    assert_eq!(value(&forms[0], "ExternalId"), "growth-2026");
    assert_eq!(
        value(&forms[0], "RoleSessionName"),
        "sumsq-growth-counts-reader"
    );

    object.role = Some(assumes(&role, None));
    let refused = accounts.sign_in(&objects, &object, &base).await;
    let error = refused.expect_err("the trust policy asks for an external ID");
    let text = shown(&error, &object)
        .replace(&role, "arn:aws:iam::000000000000:role/ROLE")
        .replace(base.rsplit('/').next().unwrap(), "BASE")
        .replace(role.rsplit('/').next().unwrap(), "ROLE");
    assert_snapshot!(text, @r#"
    AccessDenied (AssumeRoleFailed)
    User: arn:aws:sts::000000000000:assumed-role/BASE/sumsq-growth-counts-reader is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::000000000000:role/ROLE
    STS does not give arn:aws:iam::000000000000:role/ROLE to arn:aws:iam::000000000000:role/BASE. The role must exist, and its trust policy must allow sts:AssumeRole to that identity: the statement is ready. Where the identity is of another account than the role, its own policy must allow sts:AssumeRole on the role, too.
    trust policy: {
      "Sid": "LetSumsqTakeThisRole",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::000000000000:role/BASE"
      },
      "Action": "sts:AssumeRole"
    }
    "#);
}

#[tokio::test]
async fn a_secrets_keys_assume_a_role_where_the_store_gives_roles() {
    let bucket = Bucket::new().await;
    let s3 = S3::shared().await;
    let user = s3.iam_user().await;
    let arn = format!("arn:aws:iam::000000000000:user/{}", user.name);
    let trust = json!({"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"});
    let role = s3.iam_role(trust, reads(&bucket.name)).await;
    let may = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role});
    s3.iam_user_may(&user.name, may).await;
    let store = Tee::before(&s3.endpoint()).await;
    let mut object = bucket.object(KEY).await;
    object.endpoint = Some(store.endpoint());
    object.role = Some(assumes(&role, None));
    // No STS is named: keys for a store are shown to that store alone.
    let objects = Objects::with(setup()).await;
    let of_user = keys(&user.access_key_id, &user.secret_access_key);
    let base = Base::Secret(of_user.clone());
    let signs = objects.sign_in(&object, "growth", base).await.unwrap();
    let opened = objects.open(&object, "growth", signs.as_ref(), None, LIMIT);
    assert_eq!(read(body(opened.await)).await.unwrap(), CSV);
    assert_eq!(store.forms("AssumeRole").len(), 1);

    // The keys themselves read nothing: it was the role.
    object.role = None;
    let opened = objects.open(&object, "growth", Some(&of_user), None, LIMIT);
    let error = opened.await.expect_err("the user has no grant");
    assert_eq!(error.class.as_str(), "AccessDenied");

    object.role = Some(assumes(&role, None));
    let base = Base::Secret(keys(&user.access_key_id, "wrong"));
    let error = objects.sign_in(&object, "growth", base).await.unwrap_err();
    assert_snapshot!(shown(&error, &object), @r#"
    SignatureDoesNotMatch (SignatureDoesNotMatch)
    The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.
    STS does not take the credentials of Secret growth/s3-credentials: write accessKeyId and secretAccessKey anew (and sessionToken, where they are temporary).
    "#);
}

#[tokio::test]
async fn nobody_signs_as_another_who_has_not_signed_in() {
    let bucket = Bucket::new().await;
    let object = of_account(&bucket).await;
    let objects = objects(&S3::shared().await.endpoint()).await;
    // Neither the operator's own credentials, nor keys that somebody else brought.
    for signs in [None, Some(&root())] {
        let opened = objects.open(&object, "growth", signs, None, LIMIT).await;
        let error = opened.expect_err("the account has not signed in");
        assert_eq!(error.class.as_str(), "NoCredentials");
        assert_eq!(objects.reader(&object, "growth", signs).await, None);
    }
    let mut object = bucket.object(KEY).await;
    object.identity = Identity::Operator;
    object.role = Some(assumes(
        "arn:aws:iam::000000000000:role/r",
        Some("sumsq:growth:uid"),
    ));
    let opened = objects.open(&object, "growth", None, None, LIMIT).await;
    let error = opened.expect_err("the role was not assumed");
    assert_eq!(error.class.as_str(), "NoCredentials");
}

#[tokio::test]
async fn an_sts_that_does_not_answer_is_no_refusal() {
    let bucket = Bucket::new().await;
    let object = of_account(&bucket).await;
    let nobody = format!("http://127.0.0.1:{}", crate::support::process::free_port());
    let objects = objects(&nobody).await;
    let role = "arn:aws:iam::000000000000:role/r";
    let error = Accounts::default().sign_in(&objects, &object, role).await;
    let error = error.expect_err("nobody answers");
    assert_snapshot!(shown(&error, &object), @r#"
    ConnectFailed (ConnectFailed)
    no connection to STS: Connection refused (os error 111)
    The operator asks STS for the role, and does not get through: check that network policies, proxies and routes let it reach sts.REGION.amazonaws.com, or set AWS_ENDPOINT_URL_STS.
    "#);
}
