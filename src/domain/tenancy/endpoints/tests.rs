use super::*;

fn allowed(patterns: &[&str]) -> AllowedEndpoints {
    AllowedEndpoints {
        patterns: patterns.iter().map(|text| text.parse().unwrap()).collect(),
        ..AllowedEndpoints::default()
    }
}

fn judged(patterns: &[&str], endpoint: &str) -> String {
    match allowed(patterns).judge(endpoint) {
        Ok(listed) => format!("{listed:?}"),
        Err(refusal) => refusal.to_string(),
    }
}

#[test]
fn with_no_list_only_amazons_s3_may_be_named() {
    for endpoint in [
        "https://s3.amazonaws.com",
        "https://s3.eu-west-2.amazonaws.com",
        "https://S3.EU-WEST-2.AMAZONAWS.COM.",
        "https://s3.eu-west-2.amazonaws.com/",
        "http://s3.eu-west-2.amazonaws.com",
        "https://s3-fips.us-gov-west-1.amazonaws.com",
        "https://s3.dualstack.us-east-1.amazonaws.com",
        "https://s3-fips.dualstack.us-east-1.amazonaws.com:443",
        "https://s3.cn-north-1.amazonaws.com.cn",
        "https://s3.eusc-de-east-1.amazonaws.eu",
        "https://s3-eu-west-1.amazonaws.com",
    ] {
        assert_eq!(judged(&[], endpoint), "Aws", "{endpoint}");
    }
    for endpoint in [
        "https://minio.example.com",
        // Its customers' names, which lead where they like.
        "https://ec2-10-0-0-7.compute-1.amazonaws.com",
        "https://internal-store-1.us-east-1.elb.amazonaws.com",
        "https://bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com",
        "https://x.s3.us-east-1.amazonaws.com",
        "https://s3.amazonaws.com.example.com",
        "https://s3.amazonaws.com:9000",
        "https://nots3.amazonaws.com",
        "https://s3.us-east-1.amazonaws.company.com",
    ] {
        let refusal = judged(&[], endpoint);
        assert!(
            refusal.contains("does not name http"),
            "{endpoint}: {refusal}"
        );
    }
}

#[test]
fn a_list_names_scheme_host_and_port() {
    let list = [
        "https://minio.minio.svc:9000",
        "https://*.example.com",
        "http://10.0.0.7:*",
        "http://[fd00::7]",
    ];
    for (endpoint, expected) in [
        ("https://minio.minio.svc:9000", "Exactly"),
        ("https://MinIO.minio.svc.:9000/base/path", "Exactly"),
        ("https://counts.example.com", "ByWildcard"),
        ("https://a.b.example.com/", "ByWildcard"),
        ("http://10.0.0.7", "Exactly"),
        ("http://10.0.0.7:9001", "Exactly"),
        ("http://[::ffff:10.0.0.7]:9001", "Exactly"),
        ("http://[fd00:0::7]/", "Exactly"),
    ] {
        assert_eq!(judged(&list, endpoint), expected, "{endpoint}");
    }
    for endpoint in [
        "http://minio.minio.svc:9000",
        "https://minio.minio.svc",
        "https://minio.other.svc:9000",
        "https://counts.minio.minio.svc:9000",
        "https://example.com",
        "https://.example.com",
        "https://badexample.com",
        "http://counts.example.com",
        "https://counts.example.com:8443",
        "https://counts.example.com.evil.org",
        "https://10.0.0.7",
        "http://10.0.0.8",
    ] {
        let judged = judged(&list, endpoint);
        assert!(judged != "Exactly" && judged != "ByWildcard", "{endpoint}");
    }
}

#[test]
fn a_wildcard_reaches_the_public_internet_alone() {
    let list = ["https://*:*", "http://*:*"];
    for (endpoint, expected) in [
        ("https://minio.example.com:9000", "ByWildcard"),
        ("http://8.8.8.8", "ByWildcard"),
        ("http://[2600:1f18::1]", "ByWildcard"),
    ] {
        assert_eq!(judged(&list, endpoint), expected, "{endpoint}");
    }
    for endpoint in [
        "http://localhost:9000",
        "http://minio:9000",
        "http://minio.minio.svc:9000",
        "http://minio.minio.svc.cluster.local",
        "http://metadata.google.internal",
        "http://printer.local.",
    ] {
        let refusal = judged(&list, endpoint);
        assert!(refusal.contains("does not name"), "{endpoint}: {refusal}");
    }
    for (endpoint, kind) in [
        ("http://127.0.0.1:9000", "a loopback"),
        ("http://127.0.0.1.:9000", "a loopback"),
        ("http://169.254.169.254/latest", "a link-local"),
        ("http://10.96.0.1", "a private"),
        ("http://[::1]:9000", "a loopback"),
        ("http://[::ffff:127.0.0.1]", "a loopback"),
        ("http://[::ffff:7f00:1]", "a loopback"),
        ("http://[64:ff9b::169.254.169.254]", "a link-local"),
        ("http://[2002:7f00:1::]", "a loopback"),
        ("http://0.0.0.0", "an unspecified"),
        ("http://100.64.1.1", "a carrier's shared (CGNAT)"),
    ] {
        let refusal = judged(&list, endpoint);
        assert!(
            refusal.ends_with(&format!("leads to {kind} address")),
            "{endpoint}: {refusal}"
        );
    }
}

#[test]
fn an_address_in_an_odd_form_is_none() {
    for host in [
        "0x7f.1",
        "127.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f000001",
        "127.0.0.0x1",
        "1.2.3.4.5",
        "127.0.1",
        "017700000001",
        "0x",
        "store.0",
        "256.1.1.1",
        "127.0.0.01",
        "2130706433.",
    ] {
        let refusal = judged(&["http://*:*"], &format!("http://{host}:9000"));
        assert!(
            refusal.contains("looks like an IP address"),
            "{host}: {refusal}"
        );
        let pattern = format!("http://{host}").parse::<EndpointPattern>();
        assert!(pattern.is_err(), "{host}");
    }
}

#[test]
fn what_readers_of_urls_disagree_on_is_refused() {
    for endpoint in [
        "http://user@10.0.0.7",
        "http://a.example.com@10.0.0.7/",
        "http://a.example.com\\@10.0.0.7",
        "http://a.example.com?.evil",
        "http://a.example.com#@evil",
        "http://a%2eexample.com",
        "http://a.example.com:80:80",
        "http://[::1",
        "http://[::1]x",
        "http://[fe80::1%25eth0]",
        "http://a..example.com",
        "http://",
        "http:/a.example.com",
        "ftp://a.example.com",
        "http://a.example.com:99999",
        "http://a.exämple.com",
        "http://a.example.com\r\nHost: b",
        "http://①27.0.0.1",
    ] {
        let refusal = judged(&["http://*:*"], endpoint);
        assert!(
            refusal.ends_with("is no address of a store"),
            "{endpoint:?}: {refusal}"
        );
    }
}

#[test]
fn a_pattern_that_would_let_in_more_than_it_says_is_refused() {
    for (pattern, says) in [
        ("minio.example.com", "write SCHEME://HOST"),
        ("https://minio.example.com/path", "has no path"),
        ("https://*.svc", "name each host"),
        ("https://*.minio.svc", "name each host"),
        ("https://*.cluster.local", "name each host"),
        ("https://*.127.0.0.1", "write SCHEME://HOST"),
        ("https://a.*.example.com", "write SCHEME://HOST"),
        ("https://*example.com", "write SCHEME://HOST"),
        ("https://a.example.com:http", "write SCHEME://HOST"),
        ("*", "write SCHEME://HOST"),
    ] {
        let error = pattern.parse::<EndpointPattern>().unwrap_err();
        assert!(error.contains(says), "{pattern}: {error}");
    }
}

#[test]
fn only_the_host_that_is_named_leads_inside() {
    let allowed = allowed(&["http://minio.minio.svc:9000", "https://*.example.com"]);
    let inside = "10.0.0.7".parse().unwrap();
    let check = |host: &str| allowed.check(&host.parse().unwrap(), inside);
    assert_eq!(check("minio.minio.svc"), Ok(()));
    for host in [
        "counts.minio.minio.svc",
        "counts.example.com",
        "minio.other.svc",
    ] {
        let refusal = check(host).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            format!("{host} leads to a private address")
        );
    }
    assert_eq!(
        allowed.check(
            &"counts.example.com".parse().unwrap(),
            "8.8.8.8".parse().unwrap()
        ),
        Ok(())
    );
}

#[test]
fn a_wildcard_opens_no_other_port_of_a_host_that_is_named() {
    let list = [
        "https://minio.corp.example.com:9000",
        "http://10.0.0.7:9000",
        "https://*.example.com",
        "http://*:*",
    ];
    for (endpoint, expected) in [
        ("https://minio.corp.example.com:9000", true),
        ("https://minio.corp.example.com", false),
        ("http://minio.corp.example.com:9000", false),
        ("http://10.0.0.7:9000", true),
        ("http://10.0.0.7:22", false),
        ("https://other.corp.example.com", true),
    ] {
        let address = endpoint.parse().unwrap();
        let allowed = allowed(&list);
        assert_eq!(allowed.judge(endpoint).is_ok(), expected, "{endpoint}");
        // As a request is sent, with the bucket before the host.
        let kept = allowed.keep_to_what_is_named(&address);
        assert_eq!(kept.is_ok(), expected, "{endpoint}");
    }
}

#[test]
fn only_an_address_in_the_list_opens_the_machine_and_the_api_server() {
    let mut allowed = allowed(&[
        "https://store.example.com",
        "http://169.254.169.254",
        "https://10.96.0.1",
        "https://api.example.net",
        "http://*:*",
    ]);
    let api_servers: [Host; 2] = ["10.96.0.1", "api.example.net"].map(|host| host.parse().unwrap());
    for api_server in api_servers {
        allowed.api_server = Some(api_server);
        for (host, address, expected) in [
            ("store.example.com", "10.0.0.7", Ok(())),
            ("store.example.com", "169.254.169.254", Err("a link-local")),
            (
                "store.example.com",
                "100.100.100.200",
                Err("a metadata service's"),
            ),
            (
                "store.example.com",
                "fd00:ec2::254",
                Err("a metadata service's"),
            ),
            ("169.254.169.254", "169.254.169.254", Ok(())),
            ("169.254.169.253", "169.254.169.253", Err("a link-local")),
            ("10.96.0.1", "10.96.0.1", Ok(())),
        ] {
            let checked = allowed.check(&host.parse().unwrap(), address.parse().unwrap());
            let kind = checked.map_err(|refusal| match refusal {
                Refusal::Inside { kind, .. } | Refusal::NeverByName { kind, .. } => kind,
                other => panic!("{other}"),
            });
            assert_eq!(kind, expected, "{host} {address}");
        }
        assert_eq!(allowed.judge("https://10.96.0.1"), Ok(Listed::Exactly));
    }
    // The last one had a name, and the list names it to no avail.
    let refusal = allowed.judge("https://api.example.net").unwrap_err();
    assert!(matches!(refusal, Refusal::NeverByName { .. }), "{refusal}");
    allowed.api_server = Some("10.96.0.1".parse().unwrap());
    let host = "store.example.com".parse().unwrap();
    for inside in ["10.96.0.1", "::ffff:10.96.0.1", "64:ff9b::10.96.0.1"] {
        let refusal = allowed.check(&host, inside.parse().unwrap()).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "store.example.com leads to the API server's address, to which no name may lead"
        );
    }
}
