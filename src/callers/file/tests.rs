use proptest::prelude::*;

use super::*;

fn refused(text: &str) -> String {
    Callers::parse(text).unwrap_err().to_string()
}

fn one(id: &str) -> String {
    format!("callers:\n- id: \"{id}\"\n  roles: [check]\n")
}

#[test]
fn a_caller_has_the_highest_role_of_the_lines_about_it() {
    let callers = Callers::parse(
        r#"
callers:
  - { id: "spiffe://portal.example/ns/web/sa/*", roles: [check] }
  - { id: "spiffe://portal.example/ns/web/sa/admin", roles: [admin] }
  - { id: "spiffe://portal.example/ns/ops/sa/*", roles: [read] }
  - { id: "spiffe://portal.example/ns/ops/sa/api", roles: [check] }
  - { id: "system:serviceaccount:portal:*", roles: [read, check] }
  - { id: "system:serviceaccount:portal:admin", roles: [check, read, admin] }
  - { id: web.portal.example, roles: [check] }
  - { id: "repo:portal/web", roles: [read] }
"#,
    )
    .unwrap();
    assert_eq!(callers.len(), 8);
    for (id, want) in [
        ("spiffe://portal.example/ns/web/sa/api", Some(Role::Check)),
        ("spiffe://portal.example/ns/web/sa/admin", Some(Role::Admin)),
        ("spiffe://portal.example/ns/ops/sa/api", Some(Role::Read)),
        ("system:serviceaccount:portal:web", Some(Role::Read)),
        ("system:serviceaccount:portal:admin", Some(Role::Admin)),
        ("web.portal.example", Some(Role::Check)),
        ("repo:portal/web", Some(Role::Read)),
        ("spiffe://portal.example/ns/web/sa/", None),
        ("spiffe://portal.example/ns/web/sa", None),
        ("spiffe://portal.example/ns/web/sa/a/b", None),
        ("spiffe://portal.example/ns/web/sa//b", None),
        ("spiffe://portal.example/ns/web/sa/a:b", None),
        ("spiffe://portal.example/ns/web", None),
        ("spiffe://portal.example/ns/Web/sa/api", None),
        ("spiffe://other.example/ns/web/sa/api", None),
        ("system:serviceaccount:portal:", None),
        ("system:serviceaccount:portal:a:b", None),
        ("system:serviceaccount:portal:a/b", None),
        ("system:serviceaccount:other:web", None),
        ("Web.portal.example", None),
        ("api.web.portal.example", None),
        ("", None),
        ("*", None),
        ("/", None),
    ] {
        assert_eq!(callers.role(id), want, "{id}");
    }
}

#[test]
fn json_is_read_too() {
    let text = r#"{"callers": [{"id": "a", "roles": ["admin"]}]}"#;
    assert_eq!(Callers::parse(text).unwrap().role("a"), Some(Role::Admin));
}

#[test]
fn what_is_wrong_is_told_by_line_and_field() {
    let a = "- { id: a, roles: [check] }\n";
    for (text, want) in [
        (String::new(), "line 1: callers: is missing"),
        ("# nobody\n".into(), "line 2: callers: is missing"),
        ("callers:\n".into(), "line 1: callers: is missing"),
        (
            "callers: []".into(),
            "line 1: callers: is empty: nobody could call",
        ),
        (
            "callers: a".into(),
            "line 1: callers: is text here; a list is accepted",
        ),
        ("[a]".into(), "line 1: file: is a list here; a map"),
        ("callers: [".into(), "line 1: file: "),
        ("callers: [a]".into(), "line 1: callers[0]: is text here"),
        (
            format!("callers:\n{a}users: []\n"),
            "line 3: users: is unknown; callers is accepted",
        ),
        (
            format!("callers:\n{a}callers:\n{a}"),
            "line 3: file: key `callers` is used twice",
        ),
        (
            "callers:\n- id: a\n  roles: [check]\n  id: b\n".into(),
            "line 4: file: key `id` is used twice",
        ),
        (
            "callers:\n- id: a\n  role: check\n".into(),
            "line 2: callers[0].roles: is missing\n\
             line 3: callers[0].role: is unknown; id, roles are accepted",
        ),
        (
            "callers:\n- roles: [check]\n".into(),
            "line 2: callers[0].id: is missing",
        ),
        (
            "callers:\n- id: 7\n  roles: [check]\n".into(),
            "line 2: callers[0].id: is a number",
        ),
        (
            "callers:\n- id: a\n  roles: check\n".into(),
            "line 3: callers[0].roles: is text here",
        ),
        (
            "callers:\n- id: a\n  roles: []\n".into(),
            "line 3: callers[0].roles: is empty; one of check, read, admin",
        ),
        (
            "callers:\n- id: a\n  roles: [check, write]\n".into(),
            "line 3: callers[0].roles[1]: `write` is no role; check, read, admin are accepted",
        ),
        (
            "callers:\n- id: a\n  roles: [Admin]\n".into(),
            "line 3: callers[0].roles[0]: `Admin` is no role",
        ),
        (
            "callers:\n- id: a\n  roles: [read, read]\n".into(),
            "line 3: callers[0].roles[1]: `read` is there twice",
        ),
        (
            format!("callers:\n{a}{a}"),
            "line 3: callers[1].id: `a` is there twice, first on line 2",
        ),
        (
            "callers:\n- { id: 'a:*', roles: [read] }\n- { id: 'a:*', roles: [check] }\n".into(),
            "line 3: callers[1].id: `a:*` is there twice",
        ),
    ] {
        let told = refused(&text);
        assert!(told.starts_with(want), "{text:?}: {told}");
    }
}

#[test]
fn an_id_can_be_had_and_a_wildcard_is_a_whole_segment_at_the_end() {
    for id in ["", " ", "a b", "a\\n", &"a".repeat(2049)] {
        let told = refused(&one(id));
        assert!(
            told.contains("is no id: an id has 1 to 2048 bytes"),
            "{told}"
        );
    }
    for id in [
        "*", "/*", ":*", "//*", "a*", "a/*/b", "*/b", "a/b*", "a:*:*", "a/**", "a.*", "*:*",
    ] {
        let told = refused(&one(id));
        assert!(told.contains(WILDCARD), "{id}: {told}");
    }
    for id in [
        "spiffe://*",
        "spiffe:*",
        "spiffe://Portal.example/a",
        "spiffe://portal.example",
        "spiffe://portal.example//*",
        "spiffe://portal.example/a/",
    ] {
        let told = refused(&one(id));
        assert!(told.contains("is no SPIFFE id"), "{id}: {told}");
    }
    for id in [
        "a",
        "a/*",
        "a:*",
        "a:b/*",
        "https://issuer.example/users/*",
        "é",
    ] {
        assert!(Callers::parse(&one(id)).is_ok(), "{id}");
    }
}

const WILDCARD: &str = "a `*` is accepted at the end alone";

#[test]
fn callers_are_bounded() {
    let of = |count: usize| {
        let lines: String = (0..count)
            .map(|i| format!("- {{ id: c{i}, roles: [check] }}\n"))
            .collect();
        format!("callers:\n{lines}")
    };
    assert_eq!(Callers::parse(&of(MAX_CALLERS)).unwrap().len(), MAX_CALLERS);
    let told = refused(&of(MAX_CALLERS + 1));
    assert_eq!(
        told,
        "line 10002: callers: 10001 callers; at most 10000 are accepted"
    );
    let many = format!("callers:\n{}", "- { id: a }\n".repeat(1000));
    let told = refused(&many);
    assert_eq!(told.lines().count(), MAX_PROBLEMS + 1, "{told}");
    assert!(told.ends_with("there is more; 20 problems are told"));
}

#[test]
fn a_file_that_was_cut_off_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("callers.yaml");
    std::fs::write(&path, one("a")).unwrap();
    let (callers, mut watch) = Callers::load(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    watch.look();
    assert_eq!(callers.current().role("a"), Some(Role::Check));
    assert_eq!(callers.failures(), 1);
    std::fs::write(&path, one("b")).unwrap();
    watch.look();
    assert_eq!(callers.current().role("a"), None);
    assert_eq!(callers.current().role("b"), Some(Role::Check));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", id in "\\PC{0,20}") {
        let _ = Callers::parse(&text);
        if let Ok(callers) = Callers::parse(&format!("callers: [{{ id: {id:?}, roles: [read] }}]")) {
            prop_assert!(callers.role(&text).is_none_or(|role| role == Role::Read));
        }
    }

    #[test]
    fn a_wildcard_is_what_it_looks_like(id in "[ab/:]{1,8}", segment in "[ab/:]{0,3}") {
        let pattern = format!("{id}:*");
        let callers = Callers::parse(&one(&pattern));
        prop_assume!(callers.is_ok());
        let whole = !segment.is_empty() && !segment.contains(['/', ':']);
        let role = callers.unwrap().role(&format!("{id}:{segment}"));
        prop_assert_eq!(role.is_some(), whole);
    }
}
