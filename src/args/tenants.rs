//! What an operator does for the namespaces that it looks after.

use std::net::IpAddr;

use clap::Args as ClapArgs;
use ipnet::IpNet;

use crate::domain::tenancy::endpoints::{AllowedEndpoints, EndpointPattern, Host};

#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Tenants")]
pub struct TenantArgs {
    /// Namespaces whose DataSources may be read with the operator's own AWS identity, where they
    /// name none of theirs; * is every namespace [default: the operator's own]
    #[arg(
        long,
        env = "SUMSQ_AMBIENT_CREDENTIALS_NAMESPACES",
        value_name = "NAMESPACE",
        value_delimiter = ','
    )]
    pub ambient_credentials_namespaces: Option<Vec<String>>,

    /// Endpoints that DataSources may name besides AWS's own: https://minio.minio.svc:9000, or
    /// https://*.example.com, which leads to public addresses alone [default: none]
    #[arg(
        long = "allowed-endpoints",
        env = "SUMSQ_ALLOWED_ENDPOINTS",
        value_name = "PATTERN",
        value_delimiter = ',',
        value_parser = endpoint_pattern
    )]
    pub allowed_endpoint_patterns: Vec<Option<EndpointPattern>>,

    /// Networks of Pods and Services, such as 20.0.0.0/8, where they are not private anyway: no
    /// endpoint leads there that is not named exactly
    #[arg(
        long,
        env = "SUMSQ_CLUSTER_NETWORKS",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    pub cluster_networks: Vec<IpNet>,

    /// The operator's own namespace [default: the ServiceAccount's, or the kubeconfig's]
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE", hide = true)]
    pub pod_namespace: Option<String>,
}

impl TenantArgs {
    #[must_use]
    pub fn own_namespace(&self, of_client: &str) -> String {
        let named = self.pod_namespace.as_deref();
        named
            .filter(|name| !name.is_empty())
            .unwrap_or(of_client)
            .to_owned()
    }

    /// `api_server`: the host of the cluster's API server. No endpoint leads there, either.
    #[must_use]
    pub fn allowed_endpoints(&self, api_server: Option<&str>) -> AllowedEndpoints {
        let patterns = self.allowed_endpoint_patterns.iter().flatten();
        AllowedEndpoints {
            patterns: patterns.cloned().collect(),
            cluster: self.cluster_networks.clone(),
            api_server: api_server.and_then(api_server_host),
        }
    }
}

/// Of a variable in which an IPv6 address stands without brackets.
fn api_server_host(text: &str) -> Option<Host> {
    let address: Result<IpAddr, _> = text.parse();
    let host = address.map(|address| Host::Ip(address.to_canonical()));
    host.or_else(|_| text.parse()).ok()
}

/// A variable that is set to nothing lists nothing.
fn endpoint_pattern(text: &str) -> Result<Option<EndpointPattern>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    text.parse().map(Some)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::TenantArgs;
    use crate::args::{Args, Command};
    use crate::domain::tenancy::endpoints::Listed;

    fn tenants(flags: &[&str]) -> Result<TenantArgs, String> {
        let args = Args::try_parse_from([&["sumsq", "controller"], flags].concat());
        match args.map_err(|error| error.to_string())?.command {
            Command::Controller(args) => Ok(args.tenants),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lists_are_divided_by_commas() {
        let none = tenants(&[]).unwrap();
        assert_eq!(none.ambient_credentials_namespaces, None);
        assert!(none.allowed_endpoints(None).patterns.is_empty());
        let some = tenants(&[
            "--ambient-credentials-namespaces=growth,shop",
            "--allowed-endpoints=https://minio.minio.svc:9000,https://*.example.com",
            "--cluster-networks=20.0.0.0/8,2600:9::/32",
        ]);
        let some = some.unwrap();
        assert_eq!(
            some.ambient_credentials_namespaces.as_deref(),
            Some(&["growth".to_owned(), "shop".to_owned()][..])
        );
        let allowed = some.allowed_endpoints(Some("21.0.0.1"));
        assert_eq!(allowed.cluster.len(), 2);
        let host = "counts.example.com".parse().unwrap();
        for inside in ["20.1.2.3", "21.0.0.1"] {
            assert!(allowed.check(&host, inside.parse().unwrap()).is_err());
        }
        assert_eq!(allowed.check(&host, "21.0.0.2".parse().unwrap()), Ok(()));
        let judged = allowed.judge("https://minio.minio.svc:9000");
        assert_eq!(judged, Ok(Listed::Exactly));
        for (variable, host) in [
            ("10.96.0.1", "10.96.0.1"),
            ("fd00:10::1", "[fd00:10::1]"),
            ("API.example.net", "api.example.net"),
        ] {
            let api_server = none.allowed_endpoints(Some(variable)).api_server;
            assert_eq!(api_server, host.parse().ok(), "{variable}");
            assert!(api_server.is_some());
        }
        // As a chart writes it that has nothing to say.
        let empty = tenants(&["--allowed-endpoints="]).unwrap();
        assert!(empty.allowed_endpoints(None).patterns.is_empty());
    }

    #[test]
    fn a_pattern_that_is_none_says_what_to_write() {
        let error = tenants(&["--allowed-endpoints=minio:9000"]).unwrap_err();
        assert!(error.contains("write SCHEME://HOST[:PORT]"), "{error}");
        let error = tenants(&["--allowed-endpoints=https://*.minio.svc"]).unwrap_err();
        assert!(error.contains("name each host"), "{error}");
    }

    #[test]
    fn the_own_namespace_is_the_pods() {
        let own = |flags: &[&str]| tenants(flags).unwrap().own_namespace("default");
        assert_eq!(own(&["--pod-namespace=sumsq"]), "sumsq");
        assert_eq!(own(&["--pod-namespace="]), "default");
    }
}
