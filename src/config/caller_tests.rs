//! Settings that say who may call, how much is let in, and how a service is reached.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use super::tests::{read_from, serve};
use super::*;
use crate::callers::{AuthConfig, JwksSource};
use crate::edge::Limits;

const TLS: &str = "--tls-cert cert.pem --tls-key key.pem";
const MTLS: &str = "--auth mtls --tls-cert cert.pem --tls-key key.pem --tls-client-ca ca.pem \
                    --callers callers.yaml";
const JWT: &str = "--auth jwt --jwt-issuer https://issuer --jwt-audience portcullis --jwt-jwks keys \
                   --callers callers.yaml";

fn refused(line: &str) -> String {
    read_from(&format!("serve {line}"), &[]).unwrap_err()
}

#[test]
fn without_flags_anyone_may_call_on_loopback() {
    let args = serve("", &[]);
    assert!(matches!(args.auth(), AuthConfig::Anyone));
    assert!(args.tls().is_none());
    let with_tls = serve(TLS, &[]);
    assert!(matches!(with_tls.auth(), AuthConfig::Anyone));
    assert_eq!(with_tls.tls().unwrap().key, Path::new("key.pem"));
    for listen in [
        "127.0.0.1:1",
        "127.8.8.8:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
    ] {
        serve(&format!("--listen {listen}"), &[]);
    }
    serve("--listen 0.0.0.0:1 --allow-anonymous", &[]);
    let error = refused(&format!("--listen 0.0.0.0:50051 {TLS}"));
    assert_eq!(
        error,
        "`--listen` is `0.0.0.0:50051`, which other machines may reach, and callers do not prove \
         who they are: give `--auth`, listen on loopback (`127.0.0.1:50051`), or give \
         `--allow-anonymous` (`PORTCULLIS_ALLOW_ANONYMOUS=true`) to answer whoever can connect"
    );
}

#[test]
fn proofs_are_handed_on_as_they_are_given() {
    let line = format!(
        "{MTLS} --listen 0.0.0.0:1 --trust-domain portal.example --auth mtls,jwt --jwt-issuer i \
         --jwt-audience a --jwt-jwks https://k8s/jwks --jwt-jwks-ca c --jwt-jwks-token-file t"
    )
    .replacen("--auth mtls ", "", 1);
    let AuthConfig::Proved {
        mtls: Some(mtls),
        jwt: Some(jwt),
        callers,
    } = serve(&line, &[]).auth()
    else {
        panic!("both are asked for");
    };
    assert_eq!(mtls.client_ca, Path::new("ca.pem"));
    assert_eq!(mtls.trust_domain.as_deref(), Some("portal.example"));
    assert_eq!((&*jwt.issuer, &*jwt.audience), ("i", "a"));
    assert_eq!(callers, Path::new("callers.yaml"));
    let JwksSource::Url {
        url,
        ca: Some(_),
        token_file: Some(_),
    } = jwt.jwks
    else {
        panic!("{:?}", jwt.jwks);
    };
    assert_eq!(url, "https://k8s/jwks");

    let AuthConfig::Proved { mtls, jwt, .. } = serve(MTLS, &[]).auth() else {
        panic!("certificates are asked for");
    };
    assert!(mtls.is_some() && jwt.is_none());
    let AuthConfig::Proved { mtls, jwt, .. } = serve(JWT, &[]).auth() else {
        panic!("tokens are asked for");
    };
    assert!(mtls.is_none());
    assert!(matches!(jwt.unwrap().jwks, JwksSource::File(file) if file == Path::new("keys")));
}

#[test]
fn tokens_come_over_tls_or_on_loopback_or_where_it_is_said() {
    for more in ["", "--listen 0.0.0.0:1 --allow-plaintext"] {
        serve(&format!("{JWT} {more}"), &[]);
    }
    serve(&format!("{JWT} --listen 0.0.0.0:1 {TLS}"), &[]);
    let error = refused(&format!("{JWT} --listen 0.0.0.0:1"));
    assert!(
        error.contains("tokens would come without TLS: give `--tls-cert` and `--tls-key`"),
        "{error}"
    );
    // Where there is TLS, no plaintext is taken.
    let error = refused(&format!("{JWT} {TLS} --allow-plaintext"));
    assert!(
        error.starts_with("`--allow-plaintext` is for a service without TLS"),
        "{error}"
    );
}

#[test]
fn what_a_proof_needs_is_named_all_at_once() {
    for (line, want) in [
        (
            "--auth mtls",
            "`--auth` is `mtls`: `--tls-cert`, `--tls-key`, `--tls-client-ca` and `--callers` are \
             needed too",
        ),
        (
            "--auth jwt --jwt-issuer i",
            "`--auth` is `jwt`: `--jwt-audience`, `--jwt-jwks` and `--callers` are needed too",
        ),
        (
            "--auth jwt --jwt-issuer i --jwt-audience a --jwt-jwks k",
            "`--auth` is `jwt`: `--callers` is needed too",
        ),
        (
            "--tls-cert c",
            "`--tls-cert` is given, and `--tls-key` is not: a certificate and its key go together",
        ),
        (
            "--tls-key k",
            "`--tls-key` is given, and `--tls-cert` is not: a certificate and its key go together",
        ),
    ] {
        assert_eq!(refused(line), want);
    }
}

#[test]
fn a_setting_of_a_proof_that_is_not_asked_for_is_refused() {
    let only_mtls = "`--auth` is `mtls`: give `jwt` there too, or leave it out";
    for (base, flag, is) in [
        (
            "",
            "--tls-client-ca x",
            "`--auth` is `none`: give `mtls` there",
        ),
        (
            "",
            "--trust-domain x",
            "`--auth` is `none`: give `mtls` there",
        ),
        ("", "--jwt-issuer x", "`--auth` is `none`: give `jwt` there"),
        (
            "",
            "--callers x",
            "`--auth` is `none`: give `mtls` or `jwt` there",
        ),
        (
            "",
            "--allow-plaintext",
            "`--auth` is `none`: give `jwt` there",
        ),
        (MTLS, "--jwt-audience x", only_mtls),
        (MTLS, "--jwt-jwks x", only_mtls),
        (MTLS, "--jwt-jwks-ca x", only_mtls),
        (MTLS, "--jwt-jwks-token-file x", only_mtls),
        (
            JWT,
            "--trust-domain x",
            "`--auth` is `jwt`: give `mtls` there",
        ),
        (
            JWT,
            "--jwt-jwks-ca x",
            "is of use where `--jwt-jwks` is an `https://` URL",
        ),
        (
            JWT,
            "--jwt-jwks-token-file x",
            "is of use where `--jwt-jwks` is a URL",
        ),
    ] {
        let error = refused(&format!("{base} {flag}"));
        let name = flag.split(' ').next().unwrap();
        assert!(error.starts_with(&format!("`{name}` is ")), "{error}");
        assert!(error.contains(is), "{flag}: {error}");
    }
    let loopback = JWT.replace("--jwt-jwks keys", "--jwt-jwks http://127.0.0.1:8001/keys");
    serve(&format!("{loopback} --jwt-jwks-token-file x"), &[]);
    assert!(refused(&format!("{loopback} --jwt-jwks-ca x")).contains("an `https://` URL"));
}

#[test]
fn anyone_and_a_proof_contradict_each_other() {
    let error = refused(&format!("{MTLS} --allow-anonymous"));
    assert_eq!(
        error,
        "`--allow-anonymous` answers whoever can connect, and `--auth` is `mtls`, by which callers \
         prove who they are: give one of them"
    );
    serve(&format!("{MTLS} --allow-anonymous=false"), &[]);
    let variables = [
        ("PORTCULLIS_ALLOW_ANONYMOUS", "true"),
        ("PORTCULLIS_AUTH", "jwt"),
    ];
    let error = read_from("serve", &variables).unwrap_err();
    assert!(
        error.starts_with(
            "`PORTCULLIS_ALLOW_ANONYMOUS` answers whoever can connect, and `PORTCULLIS_AUTH`"
        ),
        "{error}"
    );
}

#[test]
fn limits_are_the_edges_defaults_and_follow_their_flags() {
    let same = |limits: &Limits| format!("{limits:?}");
    let defaults = serve("", &[]).edge_limits();
    assert_eq!(same(&defaults), same(&Limits::default()));
    let given = serve(
        "--request-timeout 1s --max-in-flight 2 --max-large-in-flight 3 --handshake-timeout 4s \
         --keepalive 5s --keepalive-timeout 6s --max-connection-idle 7s --max-connection-age 8s \
         --max-connections 9 --max-concurrent-streams 10 --max-header-list 11000 --workers 12",
        &[],
    );
    let want = Limits {
        request_timeout: Duration::from_secs(1),
        max_in_flight: 2,
        max_large_in_flight: 3,
        handshake_timeout: Duration::from_secs(4),
        keepalive: Duration::from_secs(5),
        keepalive_timeout: Duration::from_secs(6),
        max_connection_idle: Duration::from_secs(7),
        max_connection_age: Duration::from_secs(8),
        max_connections: 9,
        max_concurrent_streams: 10,
        max_header_list: 11_000,
        workers: NonZeroUsize::new(12).unwrap(),
    };
    assert_eq!(same(&given.edge_limits()), same(&want));
}

fn service(line: &str) -> Result<ServiceArgs, String> {
    let Command::Explain(args) = read_from(&format!("explain a b {line}"), &[])?.command else {
        panic!("another command");
    };
    Ok(args.service)
}

#[test]
fn a_service_is_asked_over_tls_where_that_is_said_or_a_certificate_is_given() {
    for (line, want) in [
        ("", Scheme::Http),
        ("--endpoint portal:1", Scheme::Http),
        ("--endpoint https://portal:1", Scheme::Https),
        ("--endpoint portal:1 --tls-ca ca", Scheme::Https),
        ("--tls-cert c --tls-key k", Scheme::Https),
        ("--token-file t", Scheme::Http),
        ("--endpoint https://portal:1 --token-file t", Scheme::Https),
    ] {
        assert_eq!(service(line).unwrap().scheme(), want, "{line}");
    }
}

#[test]
fn a_proof_that_would_be_lost_or_read_by_others_is_refused() {
    let commands = [
        "check a b",
        "features a",
        "catalog a",
        "explain a b",
        "policy show a",
        "policy set a b.c=on",
        "policy preview a b.c=on",
        "policy history a",
        "account show a",
        "account put a --kind direct",
        "account delete a",
        "account list",
    ];
    for (flags, want) in [
        (
            "--tls-cert c",
            "`--tls-cert` is given, and `--tls-key` is not",
        ),
        (
            "--endpoint http://portal:1 --tls-ca ca",
            "`--tls-ca` is for TLS, and `--endpoint` begins with `http://`",
        ),
        (
            "--endpoint portal:1 --token-file t",
            "`--token-file` would be sent to `portal:1` without TLS, where others may read it",
        ),
    ] {
        for command in commands {
            let error = read_from(&format!("{command} {flags}"), &[]).unwrap_err();
            assert!(error.starts_with(want), "{command}: {error}");
        }
    }
}
