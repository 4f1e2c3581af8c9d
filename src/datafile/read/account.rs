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
