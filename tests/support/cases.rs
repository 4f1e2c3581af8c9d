//! The golden decisions of `tests/cases/*.yaml`: their format, which `tests/cases/README.md`
//! explains, and a runner that puts them to anybody who [`Answers`].

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// One file of cases.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// The name of the file, without `.yaml`.
    #[serde(skip)]
    pub topic: String,
    /// What the file is about, for people.
    pub about: String,
    /// A matrix file; none is the built-in matrix.
    pub matrix: Option<String>,
    /// A data file.
    pub data: String,
    #[serde(default)]
    pub checks: Vec<CheckCase>,
    #[serde(default)]
    pub catalogs: Vec<CatalogCase>,
    #[serde(default)]
    pub recipients: Vec<RecipientsCase>,
    #[serde(default)]
    pub billing: Vec<BillingCase>,
}

/// What is decided for one account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckCase {
    pub name: String,
    pub account: String,
    /// By feature: `allow REASON`, `deny REASON` or `error REASON`.
    pub want: BTreeMap<String, String>,
}

/// What one account sees of a catalogue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogCase {
    pub name: String,
    pub account: String,
    /// Absent: the whole stored catalogue.
    #[serde(default)]
    pub catalog: CatalogAsked,
    pub want: CatalogWanted,
}

/// Which catalogue: what is sent along, or the part of the stored one that a filter matches.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogAsked {
    pub inline: Option<Vec<LocationText>>,
    #[serde(default)]
    pub markets: Vec<String>,
    #[serde(default)]
    pub metros: Vec<String>,
}

/// What a catalogue comes to, or `error`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogWanted {
    pub error: Option<String>,
    /// Ids, in order.
    pub visible: Option<Vec<String>>,
    pub hidden: Option<u32>,
    pub prices: Option<Prices>,
    /// The decisions that made it so, where they are what the case is about.
    pub ordering: Option<String>,
    pub pricing: Option<String>,
    /// Every offer of the visible locations, `location/PRODUCT`, with its price.
    pub offers: Option<BTreeMap<String, Option<PriceText>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prices {
    Shown,
    Redacted,
}

/// A location as a data file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocationText {
    pub id: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub metro: String,
    #[serde(default)]
    pub country: String,
    #[serde(default)]
    pub market: String,
    pub status: Option<String>,
    #[serde(default)]
    pub offers: Vec<OfferText>,
}

/// An offer as a data file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferText {
    pub product: String,
    pub monthly: Option<String>,
    pub setup: Option<String>,
}

/// A price in words: `1200 AUD`, as the domain's `Money` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceText {
    pub monthly: Option<String>,
    pub setup: Option<String>,
}

/// Who is told of a notification.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientsCase {
    pub name: String,
    pub kind: Kind,
    pub accounts: Vec<String>,
    pub want: RecipientsAnswer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Maintenance,
    Security,
}

/// Who is told, by id, and who is not, in the order of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientsAnswer {
    #[serde(default)]
    pub recipients: Vec<RecipientText>,
    #[serde(default)]
    pub unresolved: Vec<UnresolvedText>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientText {
    pub account: String,
    /// Whether it is affected itself.
    #[serde(default)]
    pub directly: bool,
    /// By id.
    #[serde(default)]
    pub on_behalf_of: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnresolvedText {
    pub account: String,
    pub error: String,
}

/// Who is billed for one account; `error REASON` where nobody can be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillingCase {
    pub name: String,
    pub account: String,
    pub want: String,
}

/// What one account sees of a catalogue, in the words of a [`CatalogWanted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogAnswer {
    pub visible: Vec<String>,
    pub hidden: u32,
    pub prices: Prices,
    pub ordering: String,
    pub pricing: String,
    pub offers: BTreeMap<String, Option<PriceText>>,
}

/// Whoever decides over the data of one [`CaseFile`].
///
/// Verdicts are words: `allow PLATFORM_RULE`, `deny ACCOUNT_SETTING`, `error ACCOUNT_UNKNOWN`, with
/// the reasons of the API's `Reason` and of its errors. An `Err` holds the reason of an error alone.
pub trait Answers {
    /// Decides one feature.
    async fn check(&self, account: &str, feature: &str) -> String;

    /// Filters a catalogue.
    async fn catalog(&self, account: &str, asked: &CatalogAsked) -> Result<CatalogAnswer, String>;

    /// Routes a notification.
    async fn recipients(&self, kind: Kind, accounts: &[String]) -> RecipientsAnswer;

    /// Says who is billed: an id, or `error REASON`.
    async fn billing_account(&self, account: &str) -> String;
}

/// Every file of cases.
pub fn load() -> Vec<CaseFile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are no cases");
    files
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let mut file: CaseFile = serde_saphyr::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            file.topic = path.file_stem().unwrap().to_str().unwrap().to_owned();
            file.check();
            file
        })
        .collect()
}

impl CaseFile {
    /// A case that can prove nothing is a mistake.
    fn check(&self) {
        let topic = &self.topic;
        assert!(self.number_of_cases() > 0, "{topic}: no case");
        for case in &self.checks {
            assert!(
                !case.want.is_empty(),
                "{topic}: {}: nothing wanted",
                case.name
            );
        }
        for CatalogCase {
            name,
            catalog,
            want,
            ..
        } in &self.catalogs
        {
            let complete = want.visible.is_some() && want.hidden.is_some() && want.prices.is_some();
            assert!(
                want.error.is_some() != complete,
                "{topic}: {name}: either `error`, or `visible`, `hidden` and `prices`"
            );
            let filtered = !catalog.markets.is_empty() || !catalog.metros.is_empty();
            assert!(
                catalog.inline.is_none() || !filtered,
                "{topic}: {name}: an inline catalogue has no filter"
            );
        }
    }

    pub fn number_of_cases(&self) -> usize {
        self.checks.len() + self.catalogs.len() + self.recipients.len() + self.billing.len()
    }

    /// Puts every case to `answers`, and fails with all that are answered otherwise.
    pub async fn run(&self, answers: &impl Answers) {
        let mut wrong = Vec::new();
        for case in &self.checks {
            for (feature, want) in &case.want {
                let got = answers.check(&case.account, feature).await;
                if got != *want {
                    let (name, account) = (&case.name, &case.account);
                    wrong.push(format!(
                        "{name}: {account}, {feature}: want {want}, got {got}"
                    ));
                }
            }
        }
        for case in &self.catalogs {
            let got = answers.catalog(&case.account, &case.catalog).await;
            for difference in case.want.differences(&got) {
                wrong.push(format!("{}: {}: {difference}", case.name, case.account));
            }
        }
        for case in &self.recipients {
            let got = answers.recipients(case.kind, &case.accounts).await;
            if got != case.want {
                wrong.push(format!("{}: want {:?}, got {got:?}", case.name, case.want));
            }
        }
        for case in &self.billing {
            let got = answers.billing_account(&case.account).await;
            if got != case.want {
                wrong.push(format!("{}: want {}, got {got}", case.name, case.want));
            }
        }
        assert!(
            wrong.is_empty(),
            "{}.yaml:\n{}\n",
            self.topic,
            wrong.join("\n")
        );
    }
}

impl CatalogWanted {
    fn differences(&self, got: &Result<CatalogAnswer, String>) -> Vec<String> {
        let got = match (got, &self.error) {
            (Err(got), Some(want)) if got == want => return Vec::new(),
            (Err(got), _) => return vec![format!("error {got}")],
            (Ok(got), Some(want)) => return vec![format!("want error {want}, got {got:?}")],
            (Ok(got), None) => got,
        };
        let mut found = Vec::new();
        compare("visible", self.visible.as_ref(), &got.visible, &mut found);
        compare("hidden", self.hidden.as_ref(), &got.hidden, &mut found);
        compare("prices", self.prices.as_ref(), &got.prices, &mut found);
        compare(
            "ordering",
            self.ordering.as_ref(),
            &got.ordering,
            &mut found,
        );
        compare("pricing", self.pricing.as_ref(), &got.pricing, &mut found);
        compare("offers", self.offers.as_ref(), &got.offers, &mut found);
        let priced = got.offers.values().any(Option::is_some);
        if got.prices == Prices::Redacted && priced {
            found.push(format!("redacted, and still there: {:?}", got.offers));
        }
        found
    }
}

fn compare<T: PartialEq + std::fmt::Debug>(
    what: &str,
    want: Option<&T>,
    got: &T,
    found: &mut Vec<String>,
) {
    if let Some(want) = want.filter(|want| *want != got) {
        found.push(format!("{what}: want {want:?}, got {got:?}"));
    }
}
