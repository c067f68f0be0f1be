//! Where a CSV lies, and whose identity reads it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Where the CSV lies.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// An object in S3, or in a store that speaks its language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3>,
}

/// An object in S3.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.accountId) || (has(self.endpoint) && \
        !self.endpoint.lowerAscii().matches('^https?://([^/]*[.])?amazonaws[.](com|com[.]cn|eu)[.]?(:[0-9]*)?(/|$)'))")
        .message("accountId is missing: write the 12 digits of the AWS account that owns the \
            bucket, in quotes (it may be left out only where endpoint is set and not AWS's own)")
        .field_path(".accountId")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("!has(self.secretRef) || !has(self.serviceAccountName)")
        .message("serviceAccountName and secretRef exclude each other: one identity reads")
        .field_path(".serviceAccountName"),
    validation = Rule::new("!has(self.externalId) || has(self.roleArn)")
        .message("externalId goes with roleArn: it is what that role's trust policy asks for")
        .field_path(".externalId"),
    validation = Rule::new("!has(self.externalId) || !has(self.roleArn) || \
        has(self.secretRef) || has(self.serviceAccountName)")
        .message("externalId goes with an identity of your own (secretRef or serviceAccountName): \
            where the operator's own identity assumes the role, the external ID is \
            sumsq:NAMESPACE:UID of this namespace, as status.externalId shows it")
        .field_path(".externalId")
)]
pub struct S3 {
    /// The bucket's region, such as us-east-1 or eu-west-2.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_-]{1,64}$')")
        .message("region takes a region's code, such as us-east-1"))]
    pub region: String,

    /// The bucket's name, such as com.my-company.counts: neither its ARN nor a URL.
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = Rule::new("!self.startsWith('arn:')")
            .message("bucket takes a name, not an ARN: write com.my-company.counts rather than \
                arn:aws:s3:::com.my-company.counts"),
        validation = Rule::new("self.startsWith('arn:') || (!self.contains('://') && \
            !self.lowerAscii().matches('[.]amazonaws[.]com([.]cn)?(/|$)'))")
            .message("bucket takes a name, not a URL: write com.my-company.counts rather than \
                s3://com.my-company.counts or https://com.my-company.counts.s3.amazonaws.com"),
        validation = Rule::new("self.startsWith('arn:') || self.contains('://') || \
            self.lowerAscii().matches('[.]amazonaws[.]com([.]cn)?(/|$)') || !self.contains('/')")
            .message("bucket takes a name without slashes: what follows the slash belongs into \
                key"),
        validation = Rule::new("self.startsWith('arn:') || self.contains('/') || \
            self.matches('^[A-Za-z0-9._-]{3,255}$')")
            .message("bucket takes a name as S3 shows it, such as com.my-company.counts: \
                letters, digits, dots and hyphens, at least 3")
    )]
    pub bucket: String,

    /// The CSV's name in the bucket, such as exports/counts.csv; slashes are folders. A file that
    /// ends in .gz or .zst is read as well.
    #[schemars(length(max = 4096))]
    #[x_kube(
        validation = Rule::new("self != '' && bytes(self).size() <= 1024")
            .message("key takes the CSV's name in the bucket, such as exports/counts.csv, 1 to \
                1024 bytes"),
        validation = Rule::new("!self.startsWith('/')")
            .message("key starts without a slash: write exports/counts.csv rather than \
                /exports/counts.csv"),
        validation = Rule::new("!self.contains('://') && !self.startsWith('arn:')")
            .message("key takes the CSV's name in the bucket, not a URL or ARN: write \
                exports/counts.csv rather than s3://com.my-company.counts/exports/counts.csv"),
        validation = Rule::new("self.startsWith('/') || !self.endsWith('/')")
            .message("key takes one CSV, not a folder: write exports/counts.csv rather than \
                exports/")
    )]
    pub key: String,

    /// The 12 digits, in quotes, of the AWS account that owns the bucket. S3 refuses to read where
    /// another account does, so a bucket that changes hands is noticed. May be left out only where
    /// endpoint is set and not AWS's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]{12}$')")
        .message("accountId takes the 12 digits of an AWS account, without hyphens and in \
            quotes, such as \"123456789012\""))]
    pub account_id: Option<String>,

    /// The address of an S3-compatible store, such as https://minio.example.com:9000. Default:
    /// AWS, in the bucket's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("\
            self.matches('^https?://([A-Za-z0-9._-]+|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?(/[^?#[:space:][:cntrl:]]*)?$')")
        .message("endpoint takes an address that starts with http:// or https://, such as \
            https://minio.example.com:9000"))]
    pub endpoint: Option<String>,

    /// Whether requests name the bucket in the path rather than in the host name, as many
    /// S3-compatible stores want it. Default: false.
    #[serde(default)]
    pub force_path_style: bool,

    /// The Secret of this namespace whose credentials read the object; it must be labelled
    /// sumsq.dev/credentials: "true". Default: serviceAccountName, or else the operator's own
    /// identity, which reads only for the namespaces that the operator's settings list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,

    /// The ServiceAccount of this namespace whose AWS role reads the object: that of its annotation
    /// eks.amazonaws.com/role-arn. The operator asks for it by a token of that account. Not
    /// together with secretRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$')")
        .message("serviceAccountName takes the name of a ServiceAccount in this namespace"))]
    pub service_account_name: Option<String>,

    /// A role that the identity which reads assumes first, such as
    /// arn:aws:iam::123456789012:role/counts-reader. Where that is the operator's own identity, the
    /// role's trust policy must ask for the external ID that status.externalId shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("\
        self.matches('^arn:aws[a-z-]{0,16}:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}$')")
        .message("roleArn takes a role's ARN, such as arn:aws:iam::123456789012:role/counts-reader"))]
    pub role_arn: Option<String>,

    /// The external ID that roleArn's trust policy asks for, with secretRef or serviceAccountName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_+=,.@:/-]{2,1000}$')")
        .message("externalId takes 2 to 1000 letters, digits and characters of _+=,.@:/-"))]
    pub external_id: Option<String>,
}

/// Names a Secret of the same namespace.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name. Its keys are accessKeyId, secretAccessKey and, where they are temporary,
    /// sessionToken. It must be labelled sumsq.dev/credentials: "true".
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$')")
        .message("secretRef.name takes the name of a Secret in this namespace"))]
    pub name: String,
}
