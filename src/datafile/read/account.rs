//! Accounts in a data file.

use crate::domain::{
    Account, AccountId, AccountKind, Invalid, MAX_NAME, Node, SupportProvider, Text, quote,
};
use crate::store::Line;

use super::{Fields, Findings, Path, Seen, items};

const FIELDS: [&str; 5] = ["id", "kind", "partner", "support", "display_name"];

pub(super) fn read(nodes: &[Node], findings: &mut Findings) -> Vec<Line<Account>> {
    let path = Path::FILE.field("accounts");
    let mut seen = Seen::default();
    items(nodes, &path, &FIELDS, findings, |fields, findings| {
        account(fields, &mut seen, findings)
    })
}

fn account<'d>(
    fields: &Fields<'d, '_>,
    seen: &mut Seen<'d>,
    findings: &mut Findings,
) -> Option<Account> {
    let id = fields.unique("id", seen, findings, AccountId::try_from);
    let kind = fields
        .required("kind", findings, Kind::try_from)
        .and_then(|kind| kind.complete(fields, findings));
    let display_name = fields.optional("display_name", findings, |name| {
        Text::check(name, MAX_NAME).map(|()| name.to_owned())
    });
    Some(Account {
        id: id?,
        kind: kind?,
        display_name: display_name?.unwrap_or_default(),
    })
}

/// An [`AccountKind`] without what else it takes.
#[derive(Clone, Copy)]
enum Kind {
    Direct,
    Partner,
    Managed,
}

impl TryFrom<&str> for Kind {
    type Error = Invalid;

    fn try_from(value: &str) -> Result<Self, Invalid> {
        match value {
            "direct" => Ok(Self::Direct),
            "partner" => Ok(Self::Partner),
            "managed" => Ok(Self::Managed),
            _ => Err(Invalid::new(format!(
                "{} is not a kind: `direct`, `partner` or `managed` is accepted",
                quote(value)
            ))),
        }
    }
}

impl Kind {
    fn complete(self, fields: &Fields<'_, '_>, findings: &mut Findings) -> Option<AccountKind> {
        let kind = match self {
            Self::Direct => AccountKind::Direct,
            Self::Partner => AccountKind::Partner,
            Self::Managed => {
                let partner = fields.required("partner", findings, AccountId::try_from);
                let support = fields.required("support", findings, SupportProvider::try_from);
                return Some(AccountKind::Managed {
                    partner: partner?,
                    support: support?,
                });
            }
        };
        let refused = ["partner", "support"]
            .into_iter()
            .filter(|key| fields.has(key));
        for key in refused {
            let message = "is there, but only a managed account has one";
            findings.problem(fields.line_of(key), &fields.path.field(key), message);
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::refused;

    #[test]
    fn accounts_that_are_refused() {
        let long = format!(
            "accounts:\n- id: a\n  kind: direct\n  display_name: {}",
            "x".repeat(201)
        );
        refused(&[
            (
                "accounts: [{ kind: direct }]",
                1,
                "accounts[0].id",
                "is missing",
            ),
            ("accounts:\n- id: a", 2, "accounts[0].kind", "is missing"),
            (
                "accounts:\n- id: a\n  kind: indirect",
                3,
                "accounts[0].kind",
                "`direct`, `partner` or `managed`",
            ),
            (
                "accounts:\n- id: 1e3\n  kind: direct",
                2,
                "accounts[0].id",
                "put it in quotes",
            ),
            (
                "accounts:\n- id: true\n  kind: direct",
                2,
                "accounts[0].id",
                "put it in quotes",
            ),
            (
                "accounts:\n- { id: a, kind: managed, support: partner }",
                2,
                "accounts[0].partner",
                "is missing",
            ),
            (
                "accounts:\n- { id: a, kind: managed, partner: p }",
                2,
                "accounts[0].support",
                "is missing",
            ),
            (
                "accounts:\n- { id: a, kind: managed, partner: p, support: self }",
                2,
                "accounts[0].support",
                "`partner` or `platform`",
            ),
            (
                "accounts:\n- { id: a, kind: managed, partner: p q, support: partner }",
                2,
                "accounts[0].partner",
                "not an id",
            ),
            (
                "accounts:\n- id: a\n  kind: direct\n  partner: p",
                4,
                "accounts[0].partner",
                "only a managed account has one",
            ),
            (
                "accounts:\n- id: a\n  kind: partner\n  support: partner",
                4,
                "accounts[0].support",
                "only a managed account has one",
            ),
            (
                "accounts:\n- { id: a, kind: direct }\n- { id: a, kind: direct }",
                3,
                "accounts[1].id",
                "first on line 2",
            ),
            (
                "accounts:\n- { id: a, kind: direct, partner_id: p }",
                2,
                "accounts[0].partner_id",
                "id, kind, partner, support, display_name are accepted",
            ),
            (&long, 4, "accounts[0].display_name", "201 characters"),
        ]);
    }
}
