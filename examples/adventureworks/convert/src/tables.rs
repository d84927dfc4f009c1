use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::Error;

/// The AdventureWorks tables that the sample is made of, in the order of their files.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Where goods lie or are worked on.
    pub places: Vec<Place>,
    /// What there is to stock.
    pub products: Vec<Product>,
    /// What lies where.
    pub inventory: Vec<Inventory>,
    /// What was ordered.
    pub order_lines: Vec<OrderLine>,
}

/// A row of `Location`.
#[derive(Clone, Debug)]
pub struct Place {
    /// `LocationID`.
    pub id: u32,
    /// `Name`.
    pub name: String,
}

/// A row of `Product`.
#[derive(Clone, Debug)]
pub struct Product {
    /// `ProductID`.
    pub id: u32,
    /// `Name`.
    pub name: String,
    /// `ProductNumber`.
    pub number: String,
    /// `SafetyStockLevel`, in pieces.
    pub safety_stock: u64,
}

/// A row of `ProductInventory`.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// `ProductID`.
    pub product: u32,
    /// `LocationID`.
    pub place: u32,
    /// `Shelf`: a letter, or nothing for `N/A`, where goods stand on the floor.
    pub shelf: Option<String>,
    /// `Bin`, from 0.
    pub bin: u32,
    /// `Quantity`, in pieces.
    pub quantity: u64,
}

/// A row of `PurchaseOrderDetail`.
#[derive(Clone, Debug)]
pub struct OrderLine {
    /// `PurchaseOrderID`.
    pub order: u32,
    /// `PurchaseOrderDetailID`, which no other line of any order has.
    pub line: u32,
    /// `DueDate`, as `2014-04-01`.
    pub due_on: String,
    /// `OrderQty`, in pieces.
    pub quantity: u64,
    /// `ProductID`.
    pub product: u32,
}

impl Tables {
    /// Reads the four files from a folder.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        Ok(Self {
            places: rows(folder.join("Location.csv"), |row| {
                Ok(Place { id: row.parse(0, "LocationID")?, name: row.parse(1, "Name")? })
            })?,
            products: rows(folder.join("Product.csv"), |row| {
                Ok(Product {
                    id: row.parse(0, "ProductID")?,
                    name: row.parse(1, "Name")?,
                    number: row.parse(2, "ProductNumber")?,
                    safety_stock: row.parse(6, "SafetyStockLevel")?,
                })
            })?,
            // The first column of this file is a mere row number.
            inventory: rows(folder.join("ProductInventory.csv"), |row| {
                let shelf: String = row.parse(3, "Shelf")?;
                Ok(Inventory {
                    product: row.parse(1, "ProductID")?,
                    place: row.parse(2, "LocationID")?,
                    shelf: (shelf != "N/A").then_some(shelf),
                    bin: row.parse(4, "Bin")?,
                    quantity: row.parse(5, "Quantity")?,
                })
            })?,
            order_lines: rows(folder.join("PurchaseOrderDetail.csv"), |row| {
                let due_at: String = row.parse(2, "DueDate")?;
                let due_on = due_at.get(..10).ok_or_else(|| row.wrong("DueDate"))?;
                Ok(OrderLine {
                    order: row.parse(0, "PurchaseOrderID")?,
                    line: row.parse(1, "PurchaseOrderDetailID")?,
                    due_on: due_on.to_owned(),
                    quantity: row.parse(3, "OrderQty")?,
                    product: row.parse(4, "ProductID")?,
                })
            })?,
        })
    }
}

struct Row<'a> {
    path: &'a Path,
    record: &'a csv::StringRecord,
}

impl Row<'_> {
    fn parse<T: FromStr>(&self, index: usize, column: &'static str) -> Result<T, Error> {
        self.record.get(index).and_then(|field| field.parse().ok()).ok_or_else(|| self.wrong(column))
    }

    fn wrong(&self, column: &'static str) -> Error {
        let line = self.record.position().map_or(0, csv::Position::line);
        Error::Field { path: self.path.to_owned(), line, column }
    }
}

fn rows<T>(path: PathBuf, read: impl Fn(&Row<'_>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    let text =
        std::fs::read(&path).map_err(|source| Error::Io { doing: "read", path: path.clone(), source })?;
    // The tables quote nothing: a quotation mark in a name is an inch.
    let mut reader =
        csv::ReaderBuilder::new().delimiter(b'\t').has_headers(false).quoting(false).from_reader(&text[..]);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|source| Error::Csv { path: path.clone(), source })?;
        rows.push(read(&Row { path: &path, record: &record })?);
    }
    Ok(rows)
}
