//! An address as a picture, for the camera of a phone.

/// `qr_code` is an SVG of black on white: readers want it so, whatever the colors of the page.
pub(super) fn qr_code(url: &str) -> Option<String> {
    let code = qrcode::QrCode::new(url).ok()?;
    let svg = code
        .render::<qrcode::render::svg::Color<'_>>()
        .min_dimensions(180, 180)
        .build();
    // The declaration before the element belongs to a file of its own.
    svg.find("<svg").and_then(|at| svg.get(at..)).map(str::to_owned)
}
