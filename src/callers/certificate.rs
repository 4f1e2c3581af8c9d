//! From a client's certificate to its id.
//!
//! The handshake has judged the certificate before: its chain, its time, and that the client has
//! its key. Here it is asked only whose it is, and a doubt is a refusal.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::role::CallerId;
use super::spiffe;
use super::unproved::{BadCertificate, Unproved};

/// The most bytes of a DNS name.
const MAX_DNS_NAME: usize = 253;
/// The most bytes between two dots of a DNS name.
const MAX_LABEL: usize = 63;

/// The caller whose certificate `der` is: its one URI, which has to be a SPIFFE id; where it has no
/// URI, its one DNS name. Other kinds of names are of no matter.
///
/// Where a `trust_domain` is given, the id has to be in it, which no DNS name is.
///
/// # Errors
/// [`Unproved::Certificate`] where it has no name, or more than one, or one that is no id.
pub fn certificate_caller(der: &[u8], trust_domain: Option<&str>) -> Result<CallerId, Unproved> {
    let name = name(der, trust_domain)?;
    CallerId::parse(&name).map_err(|_malformed| BadCertificate::Malformed.into())
}

fn name(der: &[u8], trust_domain: Option<&str>) -> Result<String, BadCertificate> {
    let Ok(([], certificate)) = X509Certificate::from_der(der) else {
        return Err(BadCertificate::Malformed);
    };
    let names = certificate
        .subject_alternative_name()
        .map_err(|_unreadable| BadCertificate::Malformed)?;
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let mut uris = Vec::new();
    let mut hosts = Vec::new();
    for name in names {
        match name {
            GeneralName::URI(uri) => uris.push(*uri),
            GeneralName::DNSName(host) => hosts.push(*host),
            // It may be of either kind: not to count it would make two names one.
            GeneralName::Invalid(..) => return Err(BadCertificate::Malformed),
            GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_) => {}
        }
    }
    match (uris.as_slice(), hosts.as_slice()) {
        ([uri], _) => match (spiffe::trust_domain(uri), trust_domain) {
            (None, _) => Err(BadCertificate::NoSpiffeId),
            (Some(its), Some(accepted)) if its != accepted => Err(BadCertificate::OtherTrustDomain),
            (Some(_), _) => Ok((*uri).to_owned()),
        },
        ([], [host]) if !is_host(host) => Err(BadCertificate::NoHostName),
        ([], [_]) if trust_domain.is_some() => Err(BadCertificate::OtherTrustDomain),
        ([], [host]) => Ok((*host).to_owned()),
        ([], []) => Err(BadCertificate::NoName),
        ([], _) => Err(BadCertificate::ManyDnsNames),
        (_, _) => Err(BadCertificate::ManyUris),
    }
}

/// Whether it is the name of one host: no wildcard, no dot at the end, no address.
fn is_host(name: &str) -> bool {
    let accepted = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(accepted)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= MAX_DNS_NAME
        && name.split('.').all(label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, CustomExtension, KeyPair, SanType};

    use super::*;

    const SPIFFE: &str = "spiffe://portal.example/ns/web/sa/api";

    fn uri(text: &str) -> SanType {
        SanType::URI(Ia5String::try_from(text).unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(Ia5String::try_from(text).unwrap())
    }

    fn certificate(params: &CertificateParams) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn with_names(names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        certificate(&params)
    }

    /// A certificate whose alternative names are `names` as they stand: pairs of tag and content.
    fn with_raw_names(names: &[(u8, &[u8])]) -> Vec<u8> {
        let mut content = Vec::new();
        for (tag, name) in names {
            content.extend([0x80 | tag, u8::try_from(name.len()).unwrap()]);
            content.extend(*name);
        }
        let mut extension = vec![0x30, u8::try_from(content.len()).unwrap()];
        extension.extend(content);
        let mut params = CertificateParams::default();
        params.custom_extensions = vec![CustomExtension::from_oid_content(
            &[2, 5, 29, 17],
            extension,
        )];
        certificate(&params)
    }

    #[test]
    fn a_certificate_has_exactly_one_name_that_counts() {
        use BadCertificate as Bad;
        let ip = SanType::IpAddress("127.0.0.1".parse().unwrap());
        let mail = SanType::Rfc822Name(Ia5String::try_from("a@portal.example").unwrap());
        let second = "spiffe://portal.example/ns/web/sa/other";
        let host = "web.portal.example";
        for (names, domain, want) in [
            (vec![uri(SPIFFE)], None, Ok(SPIFFE)),
            (vec![uri(SPIFFE)], Some("portal.example"), Ok(SPIFFE)),
            (
                vec![uri(SPIFFE), dns(host), dns("b.example")],
                None,
                Ok(SPIFFE),
            ),
            (
                vec![ip.clone(), mail.clone(), uri(SPIFFE)],
                None,
                Ok(SPIFFE),
            ),
            (vec![dns(host)], None, Ok(host)),
            (vec![ip.clone(), dns(host)], None, Ok(host)),
            (vec![], None, Err(Bad::NoName)),
            (vec![ip, mail], None, Err(Bad::NoName)),
            (vec![uri(SPIFFE), uri(second)], None, Err(Bad::ManyUris)),
            (vec![uri(SPIFFE), uri(SPIFFE)], None, Err(Bad::ManyUris)),
            (
                vec![uri(SPIFFE), uri("https://a/b")],
                None,
                Err(Bad::ManyUris),
            ),
            (vec![uri("https://a/b")], None, Err(Bad::NoSpiffeId)),
            (
                vec![uri("https://a/b"), dns(host)],
                None,
                Err(Bad::NoSpiffeId),
            ),
            (
                vec![uri("spiffe://portal.example")],
                None,
                Err(Bad::NoSpiffeId),
            ),
            (
                vec![uri(SPIFFE)],
                Some("other.example"),
                Err(Bad::OtherTrustDomain),
            ),
            (
                vec![uri(SPIFFE)],
                Some("portal.exampl"),
                Err(Bad::OtherTrustDomain),
            ),
            (
                vec![dns(host)],
                Some("portal.example"),
                Err(Bad::OtherTrustDomain),
            ),
            (
                vec![dns(host), dns("b.example")],
                None,
                Err(Bad::ManyDnsNames),
            ),
            (vec![dns("*.portal.example")], None, Err(Bad::NoHostName)),
            (vec![dns("portal.example.")], None, Err(Bad::NoHostName)),
            (vec![dns("10.0.0.1")], None, Err(Bad::NoHostName)),
            (vec![dns("")], None, Err(Bad::NoHostName)),
            (vec![dns("a b")], None, Err(Bad::NoHostName)),
        ] {
            let caller = certificate_caller(&with_names(names.clone()), domain);
            let want = want
                .map(|id| CallerId::parse(id).unwrap())
                .map_err(Unproved::from);
            assert_eq!(caller, want, "{names:?} {domain:?}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_read_counts_too() {
        let malformed = Err(BadCertificate::Malformed.into());
        for names in [
            &[(6, SPIFFE.as_bytes()), (6, b"spiffe://\xff/a")][..],
            &[(6, SPIFFE.as_bytes()), (2, b"\xff")],
            &[(2, b"\xff\xfe")],
            &[(6, SPIFFE.as_bytes()), (12, b"?")],
        ] {
            assert_eq!(certificate_caller(&with_raw_names(names), None), malformed);
        }
        let nul = with_raw_names(&[(6, b"spiffe://portal.example/a\0b")]);
        let no_id = Err(BadCertificate::NoSpiffeId.into());
        assert_eq!(certificate_caller(&nul, None), no_id);
    }

    #[test]
    fn what_is_no_certificate_or_more_than_one_proves_nothing() {
        let sound = with_names(vec![uri(SPIFFE)]);
        assert!(certificate_caller(&sound, None).is_ok());
        let twice = [sound.as_slice(), sound.as_slice()].concat();
        let longer = [sound.as_slice(), b"\0"].concat();
        let shorter = &sound[..sound.len() - 1];
        for der in [b"".as_slice(), b"certificate", &twice, &longer, shorter] {
            let caller = certificate_caller(der, None);
            assert_eq!(caller, Err(BadCertificate::Malformed.into()));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(der in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(certificate_caller(&der, None).is_err());
        }

        #[test]
        fn no_damage_makes_it_panic(damage in proptest::collection::vec((0..400_usize, any::<u8>()), 1..8)) {
            let mut der = with_raw_names(&[(6, SPIFFE.as_bytes())]);
            for (place, byte) in damage {
                if let Some(place) = der.get_mut(place) {
                    *place = byte;
                }
            }
            if let Ok(id) = certificate_caller(&der, None) {
                prop_assert!(spiffe::trust_domain(id.as_str()).is_some() || is_host(id.as_str()));
            }
        }
    }
}
