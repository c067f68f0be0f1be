//! Whom TLS trusts to vouch for others: the authorities that this machine trusts (`SSL_CERT_FILE`
//! and `SSL_CERT_DIR` say where else to look). Where there are none, as in an image that holds
//! nothing but this program, those that Mozilla's browsers trusted when it was built.

use std::fmt::Write;
use std::sync::LazyLock;

use aws_smithy_types::base64;

static BUNDLED: LazyLock<Option<String>> = LazyLock::new(|| {
    let machine = rustls_native_certs::load_native_certs();
    machine.certs.is_empty().then(pem_of_bundled)
});

/// The bundled authorities in PEM; None where the machine has its own, which alone count then.
#[must_use]
pub fn bundled() -> Option<&'static str> {
    BUNDLED.as_deref()
}

fn pem_of_bundled() -> String {
    let mut pem = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        let encoded = base64::encode(certificate);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in encoded.as_bytes().chunks(64) {
            writeln!(pem, "{}", String::from_utf8_lossy(line)).ok();
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::RootCertStore;
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn every_bundled_authority_is_one_that_tls_takes() {
        let pem = pem_of_bundled();
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        assert_eq!(roots.len(), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(roots.len() > 100, "{}", roots.len());
    }
}
