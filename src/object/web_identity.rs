//! The web identity token with which somebody asks for a role: what a trust policy must name.

use std::env;

use serde::Deserialize;

/// The role, and the claims of the token that asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WebIdentity {
    pub(super) role_arn: String,
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: String,
}

impl WebIdentity {
    /// Best effort: only for the words of a hint. The token's signature is not looked at.
    pub(super) async fn from_environment() -> Option<Self> {
        let role_arn = env::var("AWS_ROLE_ARN").ok()?;
        let file = env::var_os("AWS_WEB_IDENTITY_TOKEN_FILE")?;
        Self::from_token(role_arn, &tokio::fs::read_to_string(file).await.ok()?)
    }

    /// The claims of a token; its signature is not looked at.
    pub(super) fn from_token(role_arn: String, token: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Claims {
            iss: String,
            sub: String,
            aud: Audience,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Audience {
            One(String),
            Several(Vec<String>),
        }
        let payload = token.trim().split('.').nth(1)?;
        // The SDK's decoder knows the standard alphabet; tokens are written in the one for URLs.
        let mut payload = payload.replace('-', "+").replace('_', "/");
        payload.extend(std::iter::repeat_n('=', (4 - payload.len() % 4) % 4));
        let claims: Claims =
            serde_json::from_slice(&aws_smithy_types::base64::decode(payload).ok()?).ok()?;
        Some(Self {
            role_arn,
            issuer: claims.iss,
            subject: claims.sub,
            audience: match claims.aud {
                Audience::One(audience) => audience,
                Audience::Several(all) => all.into_iter().next()?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_from_a_token_and_from_nothing_else() {
        // {"iss":"https://oidc.example/id/1","sub":"system:serviceaccount:ns:sa","aud":["sts.amazonaws.com"]}
        let payload = "eyJpc3MiOiJodHRwczovL29pZGMuZXhhbXBsZS9pZC8xIiwic3ViIjoic3lzdGVtOnNlcnZpY2VhY2NvdW50Om5zOnNhIiwiYXVkIjpbInN0cy5hbWF6b25hd3MuY29tIl19";
        let claims =
            WebIdentity::from_token("arn".into(), &format!("head.{payload}.sign\n")).unwrap();
        assert_eq!(claims.subject, "system:serviceaccount:ns:sa");
        assert_eq!(claims.audience, "sts.amazonaws.com");
        for token in ["", "a.b.c", "a", "a.e30.c"] {
            assert_eq!(
                WebIdentity::from_token("arn".into(), token),
                None,
                "{token}"
            );
        }
    }
}
