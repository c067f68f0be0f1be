//! Which IP addresses lie on the public internet: all that IANA's registries of special-purpose
//! addresses call globally reachable, and none that carries one of the others inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;

const LINK_LOCAL: &str = "a link-local";
const METADATA: &str = "a metadata service's";

/// What clouds tell their machines from, and lend them their identity by, and IANA's registries (RFC
/// 6890 and its successors), with what each is called in a sentence. An address is what the first
/// network says that holds it.
const SPECIAL: &[(&str, &str)] = &[
    // Alibaba Cloud's.
    ("100.100.100.200/32", METADATA),
    // Azure's: public by IANA, and on every one of its hosts.
    ("168.63.129.16/32", METADATA),
    // Scaleway's, AWS's (all that its machines ask: metadata, the credentials of Pods, names, time),
    // and Google's. Their addresses of IPv4 are link-local.
    ("fd00:42::42/128", METADATA),
    ("fd00:ec2::/32", METADATA),
    ("fd20:ce::254/128", METADATA),
    ("0.0.0.0/8", "an unspecified"),
    ("10.0.0.0/8", "a private"),
    ("100.64.0.0/10", "a carrier's shared (CGNAT)"),
    ("127.0.0.0/8", "a loopback"),
    ("169.254.0.0/16", LINK_LOCAL),
    ("172.16.0.0/12", "a private"),
    ("192.0.0.0/24", "a reserved"),
    ("192.0.2.0/24", "a documentation"),
    ("192.88.99.0/24", "a reserved"),
    ("192.168.0.0/16", "a private"),
    ("198.18.0.0/15", "a benchmark"),
    ("198.51.100.0/24", "a documentation"),
    ("203.0.113.0/24", "a documentation"),
    ("224.0.0.0/4", "a multicast"),
    ("240.0.0.0/4", "a reserved"),
    ("::/128", "an unspecified"),
    ("::1/128", "a loopback"),
    ("64:ff9b:1::/48", "a private"),
    ("100::/64", "a reserved"),
    ("2001::/23", "a reserved"),
    ("2001:db8::/32", "a documentation"),
    ("3fff::/20", "a documentation"),
    ("fc00::/7", "a private"),
    ("fe80::/10", LINK_LOCAL),
    ("fec0::/10", "a private"),
    ("ff00::/8", "a multicast"),
];

static NETWORKS: LazyLock<Vec<(IpNet, &str)>> = LazyLock::new(|| {
    let networks = SPECIAL.iter();
    networks
        .filter_map(|(network, kind)| Some((network.parse().ok()?, *kind)))
        .collect()
});

/// What sort of address it is, such as "a loopback"; None: it lies on the public internet.
/// `cluster`: networks of Pods and Services that lie there, too, but are nobody else's business.
#[must_use]
pub fn special(address: IpAddr, cluster: &[IpNet]) -> Option<&'static str> {
    if cluster
        .iter()
        .any(|network| network.contains(&address) || network.contains(&address.to_canonical()))
    {
        return Some("a cluster's");
    }
    let in_network = || {
        let mut networks = NETWORKS.iter();
        networks
            .find(|(network, _)| network.contains(&address))
            .map(|(_, kind)| *kind)
    };
    match address {
        IpAddr::V4(_) => in_network(),
        IpAddr::V6(v6) => in_network()
            .or_else(|| {
                carried(v6)
                    .into_iter()
                    .find_map(|v4| special(v4.into(), cluster))
            })
            // Of IPv6, 2000::/3 is all that has been given out; the ways to IPv4 lie elsewhere.
            .or_else(|| {
                let is_given_out = v6.segments()[0] & 0xe000 == 0x2000;
                (!is_given_out && carried(v6).is_empty()).then_some("a reserved")
            }),
    }
}

/// What sort of address it is, where it belongs to the machine itself and never to a store: no name
/// leads there that anybody means.
#[must_use]
pub fn of_the_machine(address: IpAddr) -> Option<&'static str> {
    special(address, &[]).filter(|kind| [LINK_LOCAL, METADATA].contains(kind))
}

/// Whether packets for this address may go to that one in the end.
#[must_use]
pub fn leads_to(address: IpAddr, end: IpAddr) -> bool {
    let carried = match address {
        IpAddr::V4(_) => Vec::new(),
        IpAddr::V6(v6) => carried(v6),
    };
    let end = end.to_canonical();
    address == end || carried.into_iter().any(|inner| end == IpAddr::V4(inner))
}

/// The IPv4 addresses to which packets for this one may go in the end.
fn carried(v6: Ipv6Addr) -> Vec<Ipv4Addr> {
    let segments = v6.segments();
    let v4 = |at: usize| {
        let (high, low) = (u32::from(segments[at]), u32::from(segments[at + 1]));
        Ipv4Addr::from(high << 16 | low)
    };
    // IPv4-compatible, IPv4-mapped, IPv4-translated (RFC 2765), NAT64 (RFC 6052).
    let wraps = [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0xffff],
        [0, 0, 0, 0, 0xffff, 0],
        [0x64, 0xff9b, 0, 0, 0, 0],
    ];
    let mut carried = Vec::new();
    if wraps.iter().any(|wrap| segments[..6] == wrap[..]) {
        carried.push(v4(6));
    }
    // 6to4 (RFC 3056).
    if segments[0] == 0x2002 {
        carried.push(v4(1));
    }
    // ISATAP (RFC 5214).
    if matches!(segments[4..6], [0 | 0x200, 0x5efe]) {
        carried.push(v4(6));
    }
    carried
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(address: &str) -> Option<&'static str> {
        special(address.parse().unwrap(), &[])
    }

    #[test]
    fn every_network_of_the_table_can_be_read() {
        assert_eq!(NETWORKS.len(), SPECIAL.len());
    }

    #[test]
    fn addresses_are_of_their_kind() {
        for (address, expected) in [
            ("8.8.8.8", None),
            ("52.216.8.1", None),
            ("172.15.255.255", None),
            ("172.32.0.0", None),
            ("100.63.255.255", None),
            ("100.128.0.0", None),
            ("2600:1f18::1", None),
            ("127.0.0.1", Some("a loopback")),
            ("127.255.255.254", Some("a loopback")),
            ("10.96.0.1", Some("a private")),
            ("172.16.0.1", Some("a private")),
            ("172.31.255.255", Some("a private")),
            ("192.168.1.1", Some("a private")),
            ("168.63.129.16", Some("a metadata service's")),
            ("169.254.169.254", Some("a link-local")),
            ("169.254.170.23", Some("a link-local")),
            ("100.64.0.1", Some("a carrier's shared (CGNAT)")),
            ("0.0.0.0", Some("an unspecified")),
            ("0.1.2.3", Some("an unspecified")),
            ("224.0.0.1", Some("a multicast")),
            ("255.255.255.255", Some("a reserved")),
            ("240.0.0.1", Some("a reserved")),
            ("198.19.0.1", Some("a benchmark")),
            ("::", Some("an unspecified")),
            ("::1", Some("a loopback")),
            ("fe80::1", Some("a link-local")),
            ("fec0::1", Some("a private")),
            ("fd00:ec2::254", Some("a metadata service's")),
            ("fd00:ec2::23", Some("a metadata service's")),
            ("fd00:ec3::254", Some("a private")),
            ("fd20:ce::254", Some("a metadata service's")),
            ("100.100.100.200", Some("a metadata service's")),
            ("100.100.100.201", Some("a carrier's shared (CGNAT)")),
            ("ff02::1", Some("a multicast")),
            ("2001:0:1::1", Some("a reserved")),
            ("4000::1", Some("a reserved")),
            ("64:ff9b:1::8.8.8.8", Some("a private")),
        ] {
            assert_eq!(kind(address), expected, "{address}");
        }
    }

    #[test]
    fn some_are_the_machines_own() {
        for own in [
            "169.254.169.254",
            "169.254.0.1",
            "168.63.129.16",
            "100.100.100.200",
            "fd00:ec2::254",
            "fe80::1",
            "::ffff:169.254.169.254",
            "64:ff9b::100.100.100.200",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(of_the_machine(own.parse().unwrap()).is_some(), "{own}");
        }
        for other in ["127.0.0.1", "10.0.0.7", "100.64.0.1", "fd00::7", "8.8.8.8"] {
            assert_eq!(of_the_machine(other.parse().unwrap()), None, "{other}");
        }
    }

    #[test]
    fn what_carries_an_address_leads_there() {
        for (address, end, expected) in [
            ("10.96.0.1", "10.96.0.1", true),
            ("10.96.0.1", "::ffff:10.96.0.1", true),
            ("::ffff:10.96.0.1", "10.96.0.1", true),
            ("64:ff9b::10.96.0.1", "10.96.0.1", true),
            ("fd00::1", "fd00::1", true),
            ("fd00::1", "fd00::2", false),
            ("10.96.0.2", "10.96.0.1", false),
        ] {
            let leads = leads_to(address.parse().unwrap(), end.parse().unwrap());
            assert_eq!(leads, expected, "{address} {end}");
        }
    }

    #[test]
    fn an_address_within_another_counts() {
        for (prefix, suffix) in [
            ("::ffff:", ""),
            ("::", ""),
            ("::ffff:0:", ""),
            ("64:ff9b::", ""),
            ("2600:1f18::5efe:", ""),
            ("2600:1f18::200:5efe:", ""),
        ] {
            let of = |v4: &str| kind(&format!("{prefix}{v4}{suffix}"));
            assert_eq!(of("127.0.0.1"), Some("a loopback"), "{prefix}");
            assert_eq!(of("169.254.169.254"), Some("a link-local"), "{prefix}");
            assert_eq!(of("10.0.0.1"), Some("a private"), "{prefix}");
            assert_eq!(of("8.8.8.8"), None, "{prefix}");
        }
        assert_eq!(kind("2002:7f00:1::"), Some("a loopback"));
        assert_eq!(kind("2002:a9fe:a9fe::1"), Some("a link-local"));
        assert_eq!(kind("2002:808:808::1"), None);
    }

    #[test]
    fn a_cluster_on_public_addresses_is_one_all_the_same() {
        let cluster = [
            "20.0.0.0/8".parse().unwrap(),
            "2600:9::/32".parse().unwrap(),
        ];
        for (address, expected) in [
            ("20.1.2.3", Some("a cluster's")),
            ("::ffff:20.1.2.3", Some("a cluster's")),
            ("64:ff9b::20.1.2.3", Some("a cluster's")),
            ("2600:9::1", Some("a cluster's")),
            ("21.0.0.1", None),
        ] {
            assert_eq!(
                special(address.parse().unwrap(), &cluster),
                expected,
                "{address}"
            );
        }
    }

    proptest! {
        /// The ways around are none: what is special stays so however it is wrapped.
        #[test]
        fn wrapping_hides_nothing(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let [high, low] = [(bits >> 16) as u16, (bits & 0xffff) as u16];
            let plain = special(v4.into(), &[]);
            for wrapped in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                prop_assert_eq!(special(wrapped.into(), &[]).is_some(), plain.is_some(), "{}", wrapped);
            }
        }
    }
}
