//! Pictures on a page of HTML.

use super::render::escaped;
use super::sheet::Sheet;
use super::{Picture, STYLE};

const PAGE: &str = include_str!("page.css");

/// Pictures on one page, below each other, each with its title and its lesson. More than one are below the title of the page and a
/// list of them. The page stands alone, and needs no script.
pub fn page(title: &str, pictures: &[Picture<'_>]) -> String {
    let title = escaped(title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"generator\" content=\"unstick\"/>\n<title>{title}</title>\n<style>\n{PAGE}{STYLE}</style>\n</head>\n\
         <body>\n<main>\n"
    );
    if pictures.len() > 1 {
        out.push_str(&format!("<h1>{title}</h1>\n{}", contents(pictures)));
    }
    for picture in pictures {
        let id = picture.id();
        let narrow = picture.drawn(&Sheet::NARROW, &format!("{id}-narrow"), None);
        let wide = picture.drawn(&Sheet::WIDE, &format!("{id}-wide"), None);
        out.push_str(&format!(
            "<section id=\"{id}\">\n<div class=\"wide\">\n{wide}</div>\n<div class=\"narrow\">\n{narrow}</div>\n</section>\n"
        ));
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// A list of the pictures, each with what it teaches.
fn contents(pictures: &[Picture<'_>]) -> String {
    let mut out = String::from("<nav>\n<ol>\n");
    for picture in pictures {
        let (id, title, lesson) = (picture.id(), escaped(picture.title), escaped(picture.lesson));
        out.push_str(&format!("<li><a href=\"#{id}\">{title}</a> <span>{lesson}</span></li>\n"));
    }
    out.push_str("</ol>\n</nav>\n");
    out
}
