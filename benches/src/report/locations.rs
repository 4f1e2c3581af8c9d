//! How time and memory grow with the locations of a catalogue.

use anyhow::ensure;
use bytes::Bytes;
use portcullis::grpc::MAX_CATALOG_MESSAGE;
use portcullis::proto::v1;
use portcullis::proto::v1::filter_catalog_request::Catalog;
use prost::Message as _;
use tonic::Code;

use crate::catalogue::{PRICED, Service, message, request};
use crate::measure::{Span, count, in_turns};
use crate::memory::{self, Allocator};
use crate::world::{self, OFFERS};

use super::Place;
use super::plot::{Axis, Line, Panel};
use super::text::{digits, or_dash, pieces, size, table, time, times};

const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];
/// The largest page that the API has.
const PAGE: u32 = 10_000;

/// The figures of each number of locations.
pub(super) struct Growth([Point; SIZES.len()]);

struct Point {
    locations: usize,
    /// Of them, to the account that asks.
    visible: usize,
    pages: usize,
    /// Bytes of all pages.
    answer: usize,
    /// Nanoseconds of all pages of the stored catalogue.
    stored: f64,
    /// The same of a catalogue that is sent along, where the API takes as large a one.
    inline: Option<f64>,
    /// Bytes that the stored catalogue takes, and those of its locations as they are written.
    catalogue: f64,
    written: f64,
}

/// What is asked about a number of locations.
struct Asked {
    service: Service,
    pages: Vec<Bytes>,
    visible: usize,
    answer: usize,
    inline: Option<Bytes>,
}

impl Growth {
    pub(super) fn measure() -> anyhow::Result<Self> {
        eprintln!("locations: memory");
        let mut resident = Vec::new();
        for locations in SIZES {
            resident.push(memory::catalogue(locations, Allocator::Exact)?);
        }
        eprintln!("locations: time");
        let mut asked = Vec::new();
        for locations in SIZES {
            asked.push(Asked::about(locations)?);
        }
        let pages = asked.iter().map(|asked| (asked, &*asked.pages));
        let stored = asked_in_turns(pages);
        let sent = asked.iter().filter_map(|asked| {
            let inline = asked.inline.as_ref()?;
            Some((asked, std::slice::from_ref(inline)))
        });
        let mut inline = asked_in_turns(sent).into_iter();
        Ok(Self(std::array::from_fn(|place| {
            let asked = &asked[place];
            let [catalogue, written] = resident[place];
            Point {
                locations: SIZES[place],
                visible: asked.visible,
                pages: asked.pages.len(),
                answer: asked.answer,
                stored: stored[place],
                inline: asked.inline.as_ref().and_then(|_| inline.next()),
                catalogue,
                written,
            }
        })))
    }

    pub(super) fn places(&self) -> Vec<Place> {
        let [first, .., last] = &self.0;
        let rows = self.0.iter().map(|point| {
            let inline = point.inline.zip(first.inline);
            [
                pieces(point.locations),
                pieces(point.visible),
                size(count(point.answer)),
                pieces(point.pages),
                time(point.stored),
                times(point.stored / first.stored),
                or_dash(point.inline.map(time)),
                or_dash(inline.map(|(inline, first)| times(inline / first))),
                size(point.catalogue),
                size(point.written),
            ]
        });
        let head = [
            "locations",
            "visible",
            "answer",
            "pages",
            "stored",
            "of the first",
            "sent along",
            "of the first",
            "catalogue in memory",
            "written for answers",
        ];
        let each = |bytes: f64| bytes / count(last.locations);
        let fixed = first.catalogue - each(last.catalogue) * count(first.locations);
        let most = self.0.iter().rev().find_map(|point| {
            let inline = point.inline?;
            Some((digits(inline / point.stored), pieces(point.locations)))
        });
        let (inline_times, inline_most) = most.unzip();
        vec![
            ("locations_table", table(head, rows)),
            ("offers", pieces(OFFERS)),
            ("page", pieces(PAGE as usize)),
            ("locations_factor", pieces(last.locations / first.locations)),
            ("stored_factor", digits(last.stored / first.stored)),
            ("stored_each", time(each(last.stored))),
            ("inline_times", or_dash(inline_times)),
            ("inline_most", or_dash(inline_most)),
            ("catalogue_each", size(each(last.catalogue))),
            ("written_each", size(each(last.written))),
            ("catalogue_fixed", size(fixed)),
        ]
    }

    pub(super) fn panels(&self) -> [Panel; 2] {
        let points = |figure: fn(&Point) -> Option<f64>| {
            let point = |point| Some((count(Point::locations(point)), figure(point)?));
            self.0.iter().filter_map(point).collect()
        };
        let along = "locations";
        [
            Panel {
                heading: "Time of FilterCatalog",
                along,
                axis: Axis::Time,
                lines: vec![
                    Line {
                        name: "sent along",
                        points: points(|point| point.inline),
                    },
                    Line {
                        name: "stored",
                        points: points(|point| Some(point.stored)),
                    },
                ],
            },
            Panel {
                heading: "Memory, and what is sent",
                along,
                axis: Axis::Size,
                lines: vec![
                    Line {
                        name: "catalogue in memory",
                        points: points(|point| Some(point.catalogue)),
                    },
                    Line {
                        name: "written for answers",
                        points: points(|point| Some(point.written)),
                    },
                    Line {
                        name: "answer",
                        points: points(|point| Some(count(point.answer))),
                    },
                ],
            },
        ]
    }

    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self(SIZES.map(|locations| Point {
            locations,
            visible: locations / 3 * 2,
            pages: 1,
            answer: 300 * locations,
            stored: 30.0 * count(locations),
            inline: None,
            catalogue: 900.0 * count(locations),
            written: 600.0 * count(locations),
        }))
    }
}

impl Point {
    fn locations(&self) -> usize {
        self.locations
    }
}

impl Asked {
    fn about(locations: usize) -> anyhow::Result<Self> {
        let mut asked = Self {
            service: Service::made_up(locations),
            pages: Vec::new(),
            visible: 0,
            answer: 0,
            inline: None,
        };
        asked.turn_pages()?;
        let location = |number| message(&world::location(number, OFFERS));
        let sent = v1::InlineCatalog {
            locations: (0..locations).map(location).collect(),
        };
        let inline = request(PRICED, Some(Catalog::Inline(sent)));
        asked.inline = asked.takes(&inline)?.then_some(inline);
        Ok(asked)
    }

    /// Reads all pages, each of which says how to ask for the next.
    fn turn_pages(&mut self) -> anyhow::Result<()> {
        let mut page_token = String::new();
        loop {
            let page = v1::StoredCatalog {
                page_size: PAGE,
                page_token,
                ..v1::StoredCatalog::default()
            };
            let page = request(PRICED, Some(Catalog::Stored(page)));
            let answer = self.service.answer(&page);
            self.pages.push(page);
            self.answer += answer.len();
            let answer = v1::FilterCatalogResponse::decode(answer)?;
            self.visible += answer.locations.len();
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(());
            }
        }
    }

    /// Whether a server takes this request; the bound of its bytes is the transport's.
    fn takes(&self, request: &Bytes) -> anyhow::Result<bool> {
        if request.len() > MAX_CATALOG_MESSAGE {
            return Ok(false);
        }
        let answer = self.service.try_answer(request);
        if let Err(status) = &answer {
            ensure!(status.code() == Code::InvalidArgument, "{status}");
        }
        Ok(answer.is_ok())
    }
}

/// Nanoseconds of all these requests to each of these.
fn asked_in_turns<'a>(asked: impl Iterator<Item = (&'a Asked, &'a [Bytes])>) -> Vec<f64> {
    let mut spans: Vec<_> = asked
        .map(|(asked, requests)| {
            move |times: usize| {
                for request in (0..times).flat_map(|_| requests) {
                    std::hint::black_box(asked.service.answer(request));
                }
            }
        })
        .collect();
    let mut spans: Vec<_> = spans.iter_mut().map(|span| span as &mut Span<'_>).collect();
    in_turns(&mut spans)
}
