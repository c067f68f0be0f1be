//! Whose identity reads: Secrets, ServiceAccounts, the operator's own, and the roles of STS.

super::cases! {
    [SecretNotFound]: "there is no such Secret in the namespace"
        => create_secret()
            "create it with the keys accessKeyId and secretAccessKey (and sessionToken where \
             they are temporary) and the label sumsq.dev/credentials: \"true\", or let secretRef \
             name another";

    [SecretNotFound], "\"may not read\"": "the operator has no right to it"
        => grant_secret()
            "grant its ServiceAccount `get` on secrets in this namespace";
        "The chart does so unless `rbac.secrets` is false.";

    [SecretNotFound], "\"could not be read\"": "the API server did not answer"
        => api_silent_on_secret()
            "the Kubernetes API did not answer; nothing need be changed";

    [SecretInvalid]: "a key is missing"
        => secret_needs()
            "it needs accessKeyId and secretAccessKey (and sessionToken where they are temporary)";

    [SecretInvalid], "the message names a value": "it is empty, or holds what no key has, such as a line break"
        => write_secret_key(key)
            "Write {key} anew with nothing around it, for instance by \
             `kubectl create secret generic --from-literal`, or `echo -n` and `base64`.";

    [SecretInvalid], "\"not one that can be read\"": "its data are not what the Kubernetes API takes for data"
        => make_secret()
            "make it anew, with the keys accessKeyId and secretAccessKey";

    [SecretNotLabeled]: "the Secret does not say that it is for DataSources"
        => label_secret(namespace, name, label)
            "Only Secrets that say so are credentials for DataSources, so that nobody gets at another \
             one by its name. Where this one is meant: kubectl -n {namespace} label secret {name} \
             {label}=true";
        "LABEL is `sumsq.dev/credentials`.";

    [ServiceAccountNotFound]: "there is no such ServiceAccount in the namespace"
        => create_account(annotation)
            "Create it, with the AWS role that reads in its annotation {annotation}, or let \
             serviceAccountName name another.";
        "ANNOTATION is `eks.amazonaws.com/role-arn`.";

    [ServiceAccountNotFound], "\"could not be asked for\"": "the API server did not answer"
        => api_silent_on_account()
            "The Kubernetes API did not answer; nothing need be changed.";

    [ServiceAccountNotFound], "of `sumsq local`": "a folder has none"
        => no_accounts()
            "there are none without a cluster";

    [ServiceAccountInvalid]: "it has no annotation `eks.amazonaws.com/role-arn`"
        => annotate_account(namespace, name, annotation)
            "Say which AWS role it has: kubectl -n {namespace} annotate serviceaccount {name} \
             {annotation}=arn:aws:iam::ACCOUNT:role/NAME";

    [ServiceAccountInvalid], "\"no role's ARN\"": "the annotation names something else"
        => annotate_account_anew(namespace, name, annotation)
            "kubectl -n {namespace} annotate --overwrite serviceaccount {name} \
             {annotation}=arn:aws:iam::ACCOUNT:role/NAME";

    [ServiceAccountInvalid], "\"not one that can be read\"": "the Kubernetes API holds what no ServiceAccount is"
        => make_account(annotation)
            "Make it anew, with its AWS role in the annotation {annotation}.";

    [TokenNotGranted]: "the operator may not read the ServiceAccount, or have tokens of it"
        => grant_tokens(namespace)
            "Let it: the Role and its binding are ready to apply, or whoever runs the operator adds \
             {namespace} to `tenantNamespaces` of the chart.";

    [TokenNotGranted], "\"the cluster refuses\"": "an admission policy of the cluster's does; its own words say why"
        => except_operator(audience, seconds)
            "An admission policy of the cluster refuses a token for the audience {audience}, good for \
             {seconds} seconds: let whoever runs the cluster except the operator.";

    [AmbientCredentialsRefused]: "neither `secretRef` nor `serviceAccountName` is named, and the operator's own \
        identity does not read for this namespace"
        => name_identity(namespace)
            "Name whose identity reads: `serviceAccountName`, a ServiceAccount of this namespace with \
             an AWS role (annotation eks.amazonaws.com/role-arn), or `secretRef`, a Secret labelled \
             sumsq.dev/credentials: \"true\". Or let who runs the operator add {namespace} to \
             --ambient-credentials-namespaces: then everybody who may create a DataSource there reads \
             what the operator can read.";
        "See [tenants.md](tenants.md).";

    [NoCredentials]: "the operator's own identity is to read, and it has none"
        => no_own_identity()
            "Looked for in the environment, AWS's files, a web identity token, the container's and the \
             node's metadata. Name a Secret in `secretRef`, or give the operator's service account a role \
             (EKS: annotation eks.amazonaws.com/role-arn, or Pod Identity).";

    [NoCredentials], "the message has a reason": "what should give it one fails"
        => own_identity_fails()
            "Something is set up to give the operator an identity, and fails: check what AWS_PROFILE, \
             AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE or AWS_CONTAINER_CREDENTIALS_FULL_URI name; or \
             name a Secret in `secretRef`.";

    [NoCredentials], "\"which is to assume the role\"": "`roleArn` is to be assumed from it, and it has none"
        => no_identity_to_assume()
            "Give the operator's service account a role (EKS: annotation eks.amazonaws.com/role-arn, or Pod \
             Identity); or name an identity of your own in `serviceAccountName` or `secretRef`.";

    [NoCredentials], "\"were not read\"": "the Secret was not there to sign with"
        => secret_unread(namespace, name)
            "Check that Secret {namespace}/{name} has the keys accessKeyId and secretAccessKey, and that \
             the operator may read it.";

    [NoCredentials], "\"nobody has signed in\"": "a bug; nobody signs in another's name"
        => not_signed_in()
            "This is a bug of the operator: please report it.";

    [AssumeRoleFailed], "to a ServiceAccount": "STS does not give it the role; `code` is STS's own"
        => account_not_trusted(account, role, subject, audience, issuer)
            "STS does not give {account} the role {role}. It must exist, and its trust policy must allow \
             sts:AssumeRoleWithWebIdentity to subject {subject} with audience {audience} (the statement \
             is ready); its account must have an OIDC provider for {issuer}.",
        other_audience(found, audience)
            " The annotation eks.amazonaws.com/audience says {found}, which is not asked for: tokens are \
             for {audience} alone.";

    [AssumeRoleFailed], "code `InvalidIdentityToken` or `IDPCommunicationError`":
        "AWS does not know the cluster that has issued the token"
        => no_oidc_provider(role, issuer, audience)
            "The account of {role} needs an OIDC provider (IAM, identity providers) for {issuer} with the \
             audience {audience}, whose keys AWS can fetch.";

    [AssumeRoleFailed], "`roleArn`": "STS does not give the role to the identity that is to assume it"
        => not_trusted(role, who, condition)
            "STS does not give {role} to {who}. The role must exist, and its trust policy must allow \
             sts:AssumeRole to that identity{condition}: the statement is ready. Where the identity is of \
             another account than the role, its own policy must allow sts:AssumeRole on the role, too.",
        external_id_is_made()
            " The operator makes the external ID of this namespace's name and UID: a namespace that is \
             made anew has another.";
        "CONDITION is \"with the external ID\" and that, where there is one.";

    [AssumeRoleFailed], "to the operator": "STS does not give the operator the role of its own ServiceAccount"
        => operator_not_trusted(role, subject, audience, issuer)
            "STS does not give the operator {role}. The role's trust policy must allow \
             sts:AssumeRoleWithWebIdentity to subject {subject} with audience {audience} (the statement is \
             ready), and the account must have an OIDC provider for {issuer}.";

    [AssumeRoleFailed], "to the operator, without a token": "the same, of a profile or a node"
        => operator_role_not_given()
            "STS does not give the operator its role: the role's trust policy must allow \
             sts:AssumeRole to the identity that asks for it.";

    [AssumeRoleFailed], "\"STS could not be asked\"": "the question can't be sent as it is"
        => odd_role()
            "Check `region`, `roleArn` and `externalId` for characters that do not belong there.";

    [AssumeRoleFailed], "\"without credentials\"": "what answers is not STS"
        => check_sts_endpoint()
            "Check what AWS_ENDPOINT_URL_STS of the operator names.";

    [InvalidAccessKeyId, SignatureDoesNotMatch, ExpiredToken], "STS says so of the operator":
        "the credentials that ask for `roleArn` are not good"
        => sts_refuses_operator()
            "STS does not take the operator's own credentials: check what renews them, such as the service \
             account's token or the node's role.";

    [InvalidAccessKeyId, SignatureDoesNotMatch, ExpiredToken], "STS says so of a Secret": "the same"
        => sts_refuses_secret(secret)
            "STS does not take the credentials of {secret}: write accessKeyId and secretAccessKey anew (and \
             sessionToken, where they are temporary).";

    [InvalidAccessKeyId, SignatureDoesNotMatch, ExpiredToken], "STS says so of a ServiceAccount":
        "the session that asks for `roleArn` is over"
        => sts_refuses_account(account)
            "The session of {account} has ended, or was ended. The next attempt asks for another.";

    [SlowDown, InternalError, ServiceUnavailable, BadGateway, GatewayTimeout, Timeout], "STS says so":
        "STS is unavailable, or asks for fewer requests"
        => sts_unavailable()
            "STS is unavailable at the moment. Nothing needs a change unless it lasts.";

    [ConnectFailed, Timeout], "on the way to STS, for a role that is named": "the operator does not reach STS"
        => sts_unreachable_for_role()
            "The operator asks STS for the role, and does not get through: check that network policies, \
             proxies and routes let it reach sts.REGION.amazonaws.com, or set AWS_ENDPOINT_URL_STS.";

    [ConnectFailed, Timeout], "on the way to STS, for the operator's own role": "the same"
        => sts_unreachable()
            "The operator asks STS for its role, and does not get through: check that network policies, \
             proxies and routes let it reach sts.REGION.amazonaws.com, or set AWS_ENDPOINT_URL_STS.";
}
