//! Which addresses of stores a data source may name: [`AllowedEndpoints`].
//!
//! A host that the list names exactly is vouched for by whoever runs the operator, wherever it
//! leads but for the machine's own addresses and the API server's: whoever answers for a name may
//! change what it says, so that only the address itself, in the list, opens those. A host that matches a
//! wildcard may be anybody's: it is reached on the public internet alone.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use super::addresses::{leads_to, of_the_machine, special};

/// Ends of names that lead into a network of one's own, by convention or by reservation.
const INNER_ENDS: &[&str] = &[
    "svc",
    "local",
    "localhost",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "lan",
    "corp",
    "home",
    "home.arpa",
];

/// Where requests go: what of an URL bears on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub secure: bool,
    pub host: Host,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// In small letters, without a dot at the end.
    Name(String),
    /// Never one that carries an IPv4 address (`::ffff:127.0.0.1`): that is the IPv4 address.
    Ip(IpAddr),
}

/// Why a data source's endpoint is not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0} is no address of a store")]
    NoAddress(String),
    /// `0x7f.1`, `2130706433`, `0177.0.0.1`: what it means depends on who reads it.
    #[error("the host {0} looks like an IP address and is not written as one")]
    OddAddress(String),
    #[error("the operator's list of allowed endpoints does not name {0}")]
    NotListed(String),
    #[error("{host} leads to {kind} address")]
    Inside { host: String, kind: &'static str },
    /// Whether the list names the host or not.
    #[error("{host} leads to {kind} address, to which no name may lead")]
    NeverByName { host: String, kind: &'static str },
    #[error(
        "{host} would be asked through a proxy, and nobody could check to which address that leads"
    )]
    ThroughProxy { host: String },
}

/// Whether and how an endpoint is on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// AWS's own S3, which needs no listing.
    Aws,
    Exactly,
    ByWildcard,
}

/// The endpoints that data sources may name besides AWS's own, and where they may lead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedEndpoints {
    pub patterns: Vec<EndpointPattern>,
    /// Networks of Pods and Services, where they are none that are private anyway.
    pub cluster: Vec<IpNet>,
    /// Where the operator finds the API server.
    pub api_server: Option<Host>,
}

/// `https://minio.minio.svc:9000`, `https://*.example.com`, `http://10.0.0.7:*`, `https://*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPattern {
    secure: bool,
    host: HostPattern,
    /// None: any.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Exactly(Host),
    /// Any name that ends in a dot and this.
    Below(String),
    Any,
}

impl AllowedEndpoints {
    /// # Errors
    /// Why it may not be named.
    pub fn judge(&self, endpoint: &str) -> Result<Listed, Refusal> {
        let address: Address = endpoint.parse()?;
        if address.is_of_s3() {
            return Ok(Listed::Aws);
        }
        self.keep_to_what_is_named(&address)?;
        let mut listed = None;
        for pattern in &self.patterns {
            if pattern.matches(&address) {
                if matches!(pattern.host, HostPattern::Exactly(_)) {
                    return Ok(Listed::Exactly);
                }
                listed = Some(Listed::ByWildcard);
            }
        }
        let listed = listed.ok_or_else(|| Refusal::NotListed(address.to_string()))?;
        if let Host::Ip(ip) = address.host {
            self.check(&address.host, ip)?;
        }
        Ok(listed)
    }

    /// Whether the list vouches for this very host.
    #[must_use]
    pub fn names(&self, host: &Host) -> bool {
        let mut hosts = self.patterns.iter().map(|pattern| &pattern.host);
        hosts.any(|named| matches!(named, HostPattern::Exactly(named) if named == host))
    }

    /// Whoever names a host vouches for it with that scheme and at that port: a wildcard beside it
    /// does not open the others, which would lead inside unseen.
    ///
    /// # Errors
    /// Another scheme or port of a host that the list names, and the API server's name.
    pub fn keep_to_what_is_named(&self, address: &Address) -> Result<(), Refusal> {
        let is_name = matches!(address.host, Host::Name(_));
        if is_name && self.api_server.as_ref() == Some(&address.host) {
            return Err(never_by_name(&address.host, API_SERVERS));
        }
        let is_named = |pattern: &EndpointPattern| {
            matches!(pattern.host, HostPattern::Exactly(_)) && pattern.matches(address)
        };
        if self.names(&address.host) && !self.patterns.iter().any(is_named) {
            return Err(Refusal::NotListed(address.to_string()));
        }
        Ok(())
    }

    /// # Errors
    /// Where a connection to this host may not be made to this address.
    pub fn check(&self, host: &Host, address: IpAddr) -> Result<(), Refusal> {
        let (named, is_name) = (self.names(host), matches!(host, Host::Name(_)));
        let of_nobody_else = match self.api_server {
            Some(Host::Ip(api_server)) if leads_to(address, api_server) => Some(API_SERVERS),
            // Where it has a name, who resolves names has to look.
            _ => of_the_machine(address),
        };
        match of_nobody_else {
            Some(kind) if is_name => return Err(never_by_name(host, kind)),
            _ if named => return Ok(()),
            _ => {}
        }
        match of_nobody_else.or_else(|| special(address, &self.cluster)) {
            None => Ok(()),
            Some(kind) => Err(Refusal::Inside {
                host: host.to_string(),
                kind,
            }),
        }
    }

    /// # Errors
    /// Where the addresses that a name leads to are those of the API server.
    pub fn keep_apart(
        host: &Host,
        addresses: &[IpAddr],
        api_server: &[IpAddr],
    ) -> Result<(), Refusal> {
        let mut ends = api_server.iter();
        let meets = |end: &IpAddr| addresses.iter().any(|address| leads_to(*address, *end));
        if ends.any(meets) {
            return Err(never_by_name(host, API_SERVERS));
        }
        Ok(())
    }
}

const API_SERVERS: &str = "the API server's";

fn never_by_name(host: &Host, kind: &'static str) -> Refusal {
    let host = host.to_string();
    Refusal::NeverByName { host, kind }
}

impl Address {
    /// AWS's own S3, by the names that it gives out in every partition. Other names below
    /// `amazonaws.com` are its customers', and lead where they say: those of load balancers, of
    /// machines, and of VPC endpoints, too.
    #[must_use]
    pub fn is_of_s3(&self) -> bool {
        let Host::Name(name) = &self.host else {
            return false;
        };
        let default_port = if self.secure { 443 } else { 80 };
        let ends = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu"];
        let Some(service) = ends.iter().find_map(|end| name.strip_suffix(end)) else {
            return false;
        };
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let labels: Vec<&str> = service.split('.').collect();
        let is_service = match labels[..] {
            ["s3"] => true,
            ["s3" | "s3-fips", region] | ["s3" | "s3-fips", "dualstack", region] => {
                is_label(region)
            }
            // As in the early days: s3-eu-west-1.
            [old] => old.strip_prefix("s3-").is_some_and(is_label),
            _ => false,
        };
        is_service && self.port == default_port
    }
}

impl FromStr for Address {
    type Err = Refusal;

    /// `SCHEME://HOST[:PORT][/PATH]` and nothing else: no user, no query.
    fn from_str(url: &str) -> Result<Self, Refusal> {
        let no_address = || Refusal::NoAddress(url.to_owned());
        let (secure, rest) = split_scheme(url).ok_or_else(no_address)?;
        let authority = rest.split('/').next().unwrap_or(rest);
        let is_strange = |c: char| c.is_whitespace() || c.is_control() || "@\\?#%".contains(c);
        if authority.contains(is_strange) {
            return Err(no_address());
        }
        let (host, port) = split_port(authority).ok_or_else(no_address)?;
        let port = match port {
            None => default_port(secure),
            Some(port) => port.parse().map_err(|_| no_address())?,
        };
        Ok(Self {
            secure,
            host: host.parse()?,
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != default_port(self.secure) {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl FromStr for Host {
    type Err = Refusal;

    /// As in a URL: IPv6 in brackets.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        if let Some(inner) = text.strip_prefix('[') {
            let v6 = inner.strip_suffix(']').and_then(|v6| v6.parse().ok());
            let v6: Ipv6Addr = v6.ok_or_else(|| Refusal::NoAddress(text.to_owned()))?;
            return Ok(Self::Ip(IpAddr::V6(v6).to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if let Ok(v4) = name.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(v4.into()));
        }
        let is_of_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if name.is_empty() || !name.bytes().all(is_of_name) || name.split('.').any(str::is_empty) {
            return Err(Refusal::NoAddress(text.to_owned()));
        }
        // A name never ends in a number (WHATWG URL, "ends in a number"): resolvers take it for an
        // address in one of its many forms.
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_number = last.bytes().all(|b| b.is_ascii_digit())
            || last
                .strip_prefix("0x")
                .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        if is_number {
            return Err(Refusal::OddAddress(text.to_owned()));
        }
        Ok(Self::Name(name))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Ip(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

impl EndpointPattern {
    fn matches(&self, address: &Address) -> bool {
        let has_port = self.port.is_none_or(|port| port == address.port);
        has_port && self.secure == address.secure && self.host.matches(&address.host)
    }
}

impl HostPattern {
    fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exactly(named), host) => named == host,
            (Self::Below(end), Host::Name(name)) => {
                !is_inner(name)
                    && name
                        .strip_suffix(end.as_str())
                        .is_some_and(|front| front.len() > 1 && front.ends_with('.'))
            }
            (Self::Any, Host::Name(name)) => !is_inner(name),
            (Self::Any, Host::Ip(_)) => true,
            (Self::Below(_), Host::Ip(_)) => false,
        }
    }
}

impl FromStr for EndpointPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            "write SCHEME://HOST[:PORT], such as https://minio.minio.svc:9000, http://10.0.0.7:* or \
             https://*.example.com"
                .to_owned()
        };
        let (secure, rest) = split_scheme(text.trim()).ok_or_else(form)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('/') {
            return Err(format!("{text}: a pattern has no path; {}", form()));
        }
        let (host, port) = split_port(rest).ok_or_else(form)?;
        let port = match port {
            None => Some(default_port(secure)),
            Some("*") => None,
            Some(port) => Some(port.parse().map_err(|_| form())?),
        };
        let host = if host == "*" {
            HostPattern::Any
        } else if let Some(end) = host.strip_prefix("*.") {
            let Ok(Host::Name(end)) = end.parse() else {
                return Err(form());
            };
            if is_inner(&end) && end.contains('.') || INNER_ENDS.contains(&end.as_str()) {
                return Err(format!(
                    "{text}: a wildcard reaches nothing within the cluster; name each host there"
                ));
            }
            HostPattern::Below(end)
        } else {
            HostPattern::Exactly(
                host.parse()
                    .map_err(|refusal| format!("{refusal}; {}", form()))?,
            )
        };
        Ok(Self { secure, host, port })
    }
}

/// Whether a name says by itself that it leads into a network of one's own.
fn is_inner(name: &str) -> bool {
    let ends_in = |end: &&str| {
        name.strip_suffix(*end)
            .is_some_and(|front| front.is_empty() || front.ends_with('.'))
    };
    !name.contains('.') || INNER_ENDS.iter().any(ends_in)
}

fn split_scheme(url: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Some((true, rest)),
        "http" => Some((false, rest)),
        _ => None,
    }
}

/// Host and port; None where it is neither.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        let (host, rest) = authority.split_at(end);
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match authority.split_once(':') {
        None => Some((authority, None)),
        Some((host, port)) => (!port.contains(':')).then_some((host, Some(port))),
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

#[cfg(test)]
mod tests;
