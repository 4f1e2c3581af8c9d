#![cfg(test)]
//! The demo data against the facts that it is made of: `demo/facilities.csv`.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::datafile::{self, DEMO};
use portcullis::domain::{FeatureMatrix, Location, Markets};
use portcullis::store::{Import, State, plan};

const FACILITIES: &str = include_str!("../demo/facilities.csv");

fn demo() -> Import {
    let matrix = FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap();
    let (import, warnings) = datafile::parse(DEMO, &matrix).unwrap();
    assert_eq!(warnings, []);
    import
}

#[test]
fn every_facility_is_a_location_and_every_location_a_facility() {
    let demo = demo();
    let locations: BTreeMap<&str, &Location> = demo
        .locations
        .iter()
        .map(|location| (location.value.id.as_str(), &location.value))
        .collect();
    assert!(!FACILITIES.contains('"'), "no field of the list is quoted");
    let mut lines = FACILITIES.lines();
    assert_eq!(lines.next(), Some("code,facility,city,country,port_speeds"));
    let mut seen = BTreeSet::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let [code, facility, city, country, speeds] = fields[..] else {
            panic!("{line}")
        };
        let location = locations[code];
        let facts = (
            location.name.as_str(),
            location.metro.as_str(),
            location.country.as_str(),
        );
        assert_eq!(facts, (facility, city, country), "{code}");
        let market = location.market.map(|market| market.to_string());
        assert_eq!(market.as_deref(), Some(country), "{code}");
        let offered: BTreeSet<&str> = location
            .offers
            .iter()
            .filter_map(|offer| offer.product.as_str().strip_prefix("PORT_"))
            .collect();
        assert_eq!(offered, speeds.split('|').collect(), "{code}");
        assert!(seen.insert(code), "{code} is there twice");
    }
    assert_eq!((seen.len(), locations.len()), (143, 143));
}

#[test]
fn it_is_consistent_as_a_whole_and_ordered() {
    let demo = demo();
    let mut state = State::default();
    state.apply(plan(&State::default(), &demo).unwrap());
    assert_eq!(
        Markets::new(state.markets.clone()).unwrap().iter().count(),
        24
    );
    assert!(
        demo.locations
            .is_sorted_by_key(|location| location.value.id.clone())
    );
    assert_eq!(state.policies.len(), 3);
}
