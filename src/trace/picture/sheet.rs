//! The two widths of a picture: for a desktop or a slide, and for a phone.

/// Where things are on a sheet, in pixels from its left edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sheet {
    pub(super) width: f64,
    /// The margin, at both sides.
    pub(super) left: f64,
    /// The rails.
    pub(super) client: f64,
    pub(super) server: f64,
    /// Where the bytes begin; left of it are the names of the rows, if there is room.
    pub(super) track: f64,
    /// The widest bar of bytes on an arrow.
    pub(super) bar: f64,
    /// The columns of the legend.
    pub(super) columns: usize,
    pub(super) title: f64,
    pub(super) lesson: f64,
    /// Whether times and states have no room beside the rails, and are between them.
    pub(super) is_narrow: bool,
}

impl Sheet {
    /// For a desktop, a document or a slide.
    pub(super) const WIDE: Sheet = Sheet {
        width: 900.0,
        left: 28.0,
        client: 228.0,
        server: 716.0,
        track: 108.0,
        bar: 400.0,
        columns: 2,
        title: 22.0,
        lesson: 14.0,
        is_narrow: false,
    };

    /// For a phone that is 390 pixels wide, in the margins of a page.
    pub(super) const NARROW: Sheet = Sheet {
        width: 366.0,
        left: 16.0,
        client: 24.0,
        server: 342.0,
        track: 16.0,
        bar: 270.0,
        columns: 1,
        title: 19.0,
        lesson: 14.0,
        is_narrow: true,
    };

    pub(super) const fn right(&self) -> f64 {
        self.width - self.left
    }

    /// Between the rails.
    pub(super) const fn middle(&self) -> f64 {
        (self.client + self.server) / 2.0
    }

    /// Between the margins.
    pub(super) const fn room(&self) -> f64 {
        self.width - 2.0 * self.left
    }
}
