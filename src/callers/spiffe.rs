//! SPIFFE ids, as the standard "SPIFFE Identity and Verifiable Identity Document" has them.

/// The most bytes of an id.
const MAX_ID: usize = 2048;
/// The most bytes of a trust domain.
const MAX_TRUST_DOMAIN: usize = 255;

/// The trust domain of a SPIFFE id that names a workload; `None` where `uri` is no such id.
///
/// The id of a trust domain itself has no path: that is an authority, never a caller. There is one
/// way to write an id, without escapes, upper-case domains or empty segments, so that ids are
/// compared byte by byte.
pub(super) fn trust_domain(uri: &str) -> Option<&str> {
    if uri.len() > MAX_ID {
        return None;
    }
    let (domain, path) = uri.strip_prefix("spiffe://")?.split_once('/')?;
    (is_trust_domain(domain) && path.split('/').all(is_segment)).then_some(domain)
}

fn is_trust_domain(text: &str) -> bool {
    let accepted = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    !text.is_empty() && text.len() <= MAX_TRUST_DOMAIN && text.bytes().all(accepted)
}

fn is_segment(text: &str) -> bool {
    let accepted = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !matches!(text, "" | "." | "..") && text.bytes().all(accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_a_trust_domain_and_a_path() {
        for (uri, want) in [
            (
                "spiffe://portal.example/ns/web/sa/api",
                Some("portal.example"),
            ),
            ("spiffe://a_b-1/X.y_z-9", Some("a_b-1")),
            ("spiffe://portal.example/...", Some("portal.example")),
            ("spiffe://portal.example", None),
            ("spiffe://portal.example/", None),
            ("spiffe://portal.example/a/", None),
            ("spiffe://portal.example//a", None),
            ("spiffe://portal.example/a/../b", None),
            ("spiffe://portal.example/./b", None),
            ("spiffe:///a", None),
            ("spiffe://Portal.example/a", None),
            ("spiffe://portal.example:443/a", None),
            ("spiffe://user@portal.example/a", None),
            ("spiffe://portal.example/a?b", None),
            ("spiffe://portal.example/a#b", None),
            ("spiffe://portal.example/a%62", None),
            ("spiffe://portal.example/é", None),
            ("spiffe://pörtal.example/a", None),
            ("spiffe://portal.example/a ", None),
            ("spiffe://portal.example/a\0", None),
            ("SPIFFE://portal.example/a", None),
            ("https://portal.example/a", None),
            ("", None),
        ] {
            assert_eq!(trust_domain(uri), want, "{uri:?}");
        }
    }

    #[test]
    fn an_id_is_bounded() {
        let of = |length: usize| format!("spiffe://p/{}", "a".repeat(length - 11));
        assert_eq!(trust_domain(&of(MAX_ID)), Some("p"));
        assert_eq!(trust_domain(&of(MAX_ID + 1)), None);
        let of = |length: usize| format!("spiffe://{}/a", "p".repeat(length));
        assert!(trust_domain(&of(MAX_TRUST_DOMAIN)).is_some());
        assert!(trust_domain(&of(MAX_TRUST_DOMAIN + 1)).is_none());
    }
}
