//! Certificates that an authority has signed, and what they allow.

use portcullis::callers::{BadCertificate, Callers, Role, Unproved, certificate_caller};

use crate::support::authority::{Authority, Name};

#[test]
fn a_certificate_gives_an_id_and_the_file_gives_that_a_role() {
    let authority = Authority::new("callers");
    let callers = Callers::parse(
        r#"callers: [{ id: "spiffe://portal.example/ns/web/sa/*", roles: [read] }]"#,
    )
    .unwrap();
    let role = |names: &[Name<'_>]| {
        let der = authority.client(names).der;
        let id = certificate_caller(&der, Some("portal.example"))?;
        Ok::<_, Unproved>(callers.role(id.as_str()))
    };
    let web = Name::Uri("spiffe://portal.example/ns/web/sa/api");
    let ops = Name::Uri("spiffe://portal.example/ns/ops/sa/api");
    assert_eq!(role(&[web]), Ok(Some(Role::Read)));
    assert_eq!(
        role(&[web, Name::Dns("api.portal.example")]),
        Ok(Some(Role::Read))
    );
    assert_eq!(role(&[ops]), Ok(None));
    for (names, bad) in [
        (&[web, ops][..], BadCertificate::ManyUris),
        (&[], BadCertificate::NoName),
        (
            &[Name::Dns("api.portal.example")],
            BadCertificate::OtherTrustDomain,
        ),
        (
            &[Name::Uri("spiffe://other.example/ns/web/sa/api")],
            BadCertificate::OtherTrustDomain,
        ),
    ] {
        assert_eq!(role(names), Err(bad.into()), "{names:?}");
    }
}
