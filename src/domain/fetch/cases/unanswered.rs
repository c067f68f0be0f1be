//! S3 was not reached, or was not asked.

super::cases! {
    [ConnectFailed], "the name cannot be resolved": "a typo, or the cluster's DNS does not know the name"
        => check_region(region)
            "Check `region` ({region}) for a typo, and that the operator's DNS knows the name.";

    [ConnectFailed], "the same, with an `endpoint`": "the same"
        => check_endpoint_name()
            "Check `endpoint` for a typo, and that the operator's DNS knows the name.";

    [ConnectFailed], "\"no TLS connection\"": "no certificate that is trusted, or no TLS at all"
        => check_tls()
            "Check that `endpoint` speaks https on that port. A private certificate authority is \
             trusted by naming its file in the operator's SSL_CERT_FILE.";

    [ConnectFailed, Timeout], "no connection to an `endpoint`":
        "the port refuses, nothing answers within 10 seconds, or the connection is closed without an answer"
        => check_endpoint()
            "Check host and port of `endpoint`, that it is up, and that network policies and proxies let \
             the operator reach it.";

    [ConnectFailed, Timeout], "no connection to S3": "the same"
        => check_route()
            "Check that network policies, proxies and routes let the operator reach S3 (a NAT gateway or \
             a VPC endpoint).";

    [Timeout], "\"no answer\"": "a connection stands, and no answer came within 30 seconds, in three attempts"
        => no_answer()
            "The connection stands, but nothing comes back. Nothing needs a change unless it lasts; \
             then check the endpoint and what lies between.";

    [Timeout], "\"the fetch took longer\"": "the whole of it took more than `timeoutSeconds`"
        => took_too_long()
            "nothing was changed; if the file is large, raise `timeoutSeconds`, else look at the \
             network between the operator and the bucket";

    [EndpointNotAllowed], "an address that is none": "`endpoint` is not read as an address; nothing was sent"
        => endpoint_form()
            "`endpoint` takes SCHEME://HOST[:PORT], such as https://minio.example.com:9000.";

    [EndpointNotAllowed], "an odd form": "a number that is an address to some programs and a name to others; nothing was sent"
        => endpoint_host()
            "Write the host's name, or its IP address as four numbers of 0 to 255.";

    [EndpointNotAllowed], "not on the list": "`endpoint` is neither AWS's nor on the operator's list; nothing was sent"
        => endpoint_not_listed(endpoint)
            "Only endpoints of AWS's S3, and those that the operator's --allowed-endpoints lists, \
             are asked. Who runs the operator can add {endpoint} to it (chart: \
             controller.allowedEndpoints).";
        "See [tenants.md](tenants.md#endpoints).";

    [AddressNotAllowed]: "`endpoint` leads to a private, loopback, link-local or other address that is not public"
        => address_not_public(host)
            "Addresses that are not public are asked only for a host that the operator's \
             --allowed-endpoints names exactly, without a wildcard. Who runs the operator can add \
             {host} to it. Where the bucket's name stands before a host that is named, set \
             `forcePathStyle: true`.";

    [AddressNotAllowed], "through a proxy": "what a name leads to can't be seen behind a proxy"
        => wildcard_behind_proxy(host)
            "A wildcard of the operator's --allowed-endpoints does not do behind a proxy: let who \
             runs the operator name {host} there exactly, or except it by NO_PROXY.";
}
