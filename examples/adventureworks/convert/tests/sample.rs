//! The committed sample is what the converter makes, and it is the sample that its README promises.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use adventureworks_convert::{Demand, Error, Sample, Tables};

/// What transfers ask for although its only bin is empty: gloves, a rack, a jersey and tights.
const SOLD_OUT: [&str; 4] = ["GL-H102-M", "RA-H123", "SJ-0194-M", "TG-W091-M"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn tables() -> Tables {
    Tables::read(&folder().join("source")).unwrap()
}

/// The rows of a CSV file of the sample, without its header.
fn rows(text: &str) -> Vec<Vec<String>> {
    csv::Reader::from_reader(text.as_bytes())
        .records()
        .map(|record| record.unwrap().iter().map(str::to_owned).collect())
        .collect()
}

/// One line of a transfer, read without trust in the converter: (transfer, line, sku, quantity).
fn transfer_lines(text: &str) -> Vec<(String, String, String, u64)> {
    let mut lines = Vec::new();
    for transfer in text.lines() {
        let (head, tail) = transfer.split_once(r#","from":"ICN","to":"GMP","lines":["#).unwrap();
        let id = head.strip_prefix(r#"{"id":""#).and_then(|id| id.strip_suffix('"')).unwrap();
        let tail = tail.strip_prefix('{').and_then(|tail| tail.strip_suffix("}]}")).unwrap();
        for line in tail.split("},{") {
            let fields: Vec<&str> = line.split(['"', ':', ',']).filter(|field| !field.is_empty()).collect();
            let ["line", line, "sku", sku, "quantity", quantity] = fields[..] else { panic!("{line}") };
            lines.push((id.to_owned(), line.to_owned(), sku.to_owned(), quantity.parse().unwrap()));
        }
    }
    lines
}

#[test]
fn the_committed_files_are_what_the_converter_makes() {
    let sample = Sample::of(&tables()).unwrap();
    for (name, text) in sample.files() {
        let committed = std::fs::read_to_string(folder().join(name)).unwrap();
        assert!(committed == text, "{name} is not what the converter makes; run adventureworks-convert");
    }
}

#[test]
fn the_stock_meets_about_four_fifths_of_the_demand() {
    let sample = Sample::of(&tables()).unwrap();
    // Once more from the files alone: what is stocked at ICN against what is asked of it, per SKU.
    let mut stock: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows(&sample.stock).into_iter().filter(|row| row[0] == "ICN") {
        *stock.entry(row[2].clone()).or_default() += row[4].parse::<u64>().unwrap();
    }
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    for (_, _, sku, quantity) in transfer_lines(&sample.transfers) {
        *wanted.entry(sku).or_default() += quantity;
    }
    let requested: u64 = wanted.values().sum();
    let met: u64 =
        wanted.iter().map(|(sku, quantity)| (*quantity).min(stock.get(sku).copied().unwrap_or(0))).sum();

    assert_eq!(Demand::of(&tables()), Demand { requested, met });
    let percent = met * 100 / requested;
    assert!((75..85).contains(&percent), "{met} of {requested} pieces are {percent} %");
}

#[test]
fn every_order_line_is_there_and_one_transfer_has_thousands() {
    let sample = Sample::of(&tables()).unwrap();
    let lines = transfer_lines(&sample.transfers);
    assert_eq!(lines.len(), 8_845);
    assert!(lines.iter().all(|(_, _, _, quantity)| *quantity > 0));

    let distinct: BTreeSet<_> = lines.iter().map(|(id, line, _, _)| (id, line)).collect();
    assert_eq!(distinct.len(), lines.len(), "no transfer has two lines of one name");
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, ..) in &lines {
        *sizes.entry(id).or_default() += 1;
    }
    assert!((3_000..5_000).contains(&sizes["BULK-2014"]), "{} lines", sizes["BULK-2014"]);
    assert_eq!(sample.transfers.lines().count(), sizes.len(), "no transfer comes twice");

    let mut same: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, _, sku, _) in lines.iter().filter(|(id, ..)| id == "BULK-2014") {
        *same.entry(sku).or_default() += 1;
    }
    assert!(same.values().any(|count| *count > 10), "the same product is on many lines");
}

#[test]
fn every_name_that_is_used_was_introduced() {
    let sample = Sample::of(&tables()).unwrap();
    let code = |text: &str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    let sites: BTreeSet<String> = rows(&sample.sites).into_iter().map(|row| row[0].clone()).collect();
    let skus: BTreeSet<String> = rows(&sample.skus).into_iter().map(|row| row[0].clone()).collect();
    let locations = rows(&sample.locations);
    let known: BTreeSet<(&str, &str)> =
        locations.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    assert_eq!(known.len(), locations.len(), "no location comes twice");
    assert_eq!(skus.len(), 504);
    assert!(skus.iter().chain(&sites).all(|text| code(text)));
    assert!(known.iter().all(|(site, location)| sites.contains(*site) && code(location)));

    let mut total = 0;
    let mut positions = BTreeSet::new();
    let stock = rows(&sample.stock);
    for row in &stock {
        assert!(known.contains(&(row[0].as_str(), row[1].as_str())), "{row:?}");
        assert!(skus.contains(&row[2]), "{row:?}");
        assert!(positions.insert(&row[..4]), "{row:?} comes twice");
        total += row[4].parse::<u64>().unwrap();
    }
    assert_eq!(total, 335_974, "all that AdventureWorks has in stock");

    let stocked: BTreeSet<&str> =
        stock.iter().filter(|row| row[0] == "ICN").map(|row| row[2].as_str()).collect();
    let mut missing = BTreeSet::new();
    for (id, line, sku, _) in transfer_lines(&sample.transfers) {
        assert!(code(&id) && code(&line) && skus.contains(&sku), "{id} {line} {sku}");
        if !stocked.contains(sku.as_str()) {
            missing.insert(sku);
        }
    }
    assert_eq!(missing.into_iter().collect::<Vec<_>>(), SOLD_OUT);
}

#[test]
fn each_site_has_its_walk_and_one_place_of_each_other_kind() {
    let locations = rows(&Sample::of(&tables()).unwrap().locations);
    for site in ["ICN", "GMP"] {
        let of_kind = |kind: &str| -> Vec<u32> {
            let here = locations.iter().filter(|row| row[0] == site && row[4] == kind);
            here.map(|row| row[3].parse().unwrap()).collect()
        };
        for kind in ["receiving", "quarantine", "staging"] {
            assert_eq!(of_kind(kind), [0], "{kind} of {site}");
        }
        let walk = of_kind("storage");
        assert!(walk.len() > 100 && walk.is_sorted_by(|one, next| one < next), "{site}");
    }
}

#[test]
fn a_damaged_table_is_named_with_its_line() {
    let copy = std::env::temp_dir().join(format!("adventureworks-convert-{}", std::process::id()));
    std::fs::create_dir(&copy).unwrap();
    for name in ["Location.csv", "Product.csv", "ProductInventory.csv", "PurchaseOrderDetail.csv"] {
        std::fs::copy(folder().join("source").join(name), copy.join(name)).unwrap();
    }
    std::fs::write(copy.join("Location.csv"), "1\tTool Crib\ntwo\tSheet Metal Racks\n").unwrap();
    let error = Tables::read(&copy).unwrap_err();
    std::fs::remove_dir_all(&copy).unwrap();
    assert!(matches!(error, Error::Field { line: 2, column: "LocationID", .. }), "{error}");
}
