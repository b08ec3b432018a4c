//! Areas held to real files of the shared set, and to small ones that show one thing each.

use super::*;
use crate::import::report::Matches;
use crate::import::samples::{Dice, file, known, shared};
use std::sync::OnceLock;

/// What stands once a plan is published over a reference.
fn published(plan: &AreaPlan, reference: &Reference) -> Reference {
    let planned = plan.areas.iter().map(|area| {
        let before = reference.area(&area.code);
        let shape = area.shape.as_ref().and_then(Packed::shape);
        KnownArea {
            code: area.code.clone(),
            name: area.name.clone(),
            label: area.label.clone().or(before.and_then(|b| b.label.clone())),
            bps_code: area.bps_code.clone().or(before.and_then(|b| b.bps_code.clone())),
            households: area.households.or(before.and_then(|b| b.households)),
            poor_households: area.poor_households.or(before.and_then(|b| b.poor_households)),
            point: area.point.or(before.and_then(|b| b.point)),
            shape: shape.as_ref().map(|s| shape_digest(&s.to_wkb())).or(before.and_then(|b| b.shape)),
            bounds: shape.as_ref().map(Shape::bounds).or(before.and_then(|b| b.bounds)),
        }
    });
    Reference::new(reference.areas().iter().cloned().chain(planned))
}

fn options(level: AreaLevel) -> AreaOptions {
    AreaOptions { level: Some(level), ..AreaOptions::default() }
}

fn plan_with(files: &[SourceFile], options: &AreaOptions, reference: &Reference) -> (AreaPlan, Report) {
    let (plan, report) = plan_areas(files, options, reference).expect("the file is understood");
    assert_eq!(report.read, report.accepted + report.rejected.len() as u64);
    assert_eq!(report.records, plan.areas.len() as u64);
    assert!(plan.areas.is_sorted_by(|a, b| a.code < b.code), "each code once, ascending");
    (plan, report)
}

fn plan_text(text: &str, level: AreaLevel, reference: &Reference) -> (AreaPlan, Report) {
    plan_with(&[file("a.csv", text)], &options(level), reference)
}

fn refused(files: &[SourceFile], options: &AreaOptions, reference: &Reference) -> String {
    plan_areas(files, options, reference).expect_err("the whole file is refused").to_string()
}

/// The whole code list, imported level by level.
fn nation() -> &'static Reference {
    static NATION: OnceLock<Reference> = OnceLock::new();
    NATION.get_or_init(|| {
        let mut reference = Reference::default();
        for (path, level, count) in [
            ("kemendagri-codes/provinces.csv", AreaLevel::Province, 38),
            ("kemendagri-codes/regencies.csv", AreaLevel::City, 514),
            ("kemendagri-codes/districts.csv", AreaLevel::District, 7_285),
            ("kemendagri-codes/villages.csv.gz", AreaLevel::Village, 83_762),
        ] {
            let (plan, report) = plan_with(&[shared(path)], &options(level), &reference);
            assert_eq!((plan.areas.len(), report.read, report.rejected.len()), (count, count as u64, 0), "{path}");
            assert_eq!(report.matched_by.code, count as u64);
            reference = published(&plan, &reference);
        }
        reference
    })
}

/// The part of the code list that is Jakarta.
fn jakarta() -> Reference {
    let jakarta: AreaCode = "31".parse().expect("a code");
    Reference::new(nation().areas().iter().filter(|a| jakarta.covers(&a.code)).cloned())
}

#[test]
fn the_code_list_is_taken_in_full_and_again_without_a_change() {
    let list = shared("kemendagri-codes/villages.csv.gz");
    let (_, report) = plan_with(&[list], &options(AreaLevel::Village), nation());
    assert_eq!((report.accepted, report.unchanged), (83_762, 83_762));
}

#[test]
fn the_rw_polygons_of_jakarta_find_their_villages_by_name() {
    let reference = jakarta();
    let layer = shared("jakarta-rw-2014/rw_jakarta_update.geojson.gz");
    let (plan, report) = plan_with(std::slice::from_ref(&layer), &options(AreaLevel::Rw), &reference);
    assert_eq!((report.read, report.accepted), (2_724, 2_723));
    assert_eq!(report.matched_by, Matches { code: 0, name: 2_648, alias: 75 });
    let [refusal] = report.rejected.as_slice() else { panic!("one refusal, not {:?}", report.rejected) };
    assert!(refusal.reason.contains("no village \"TMII\" is known in Kota Administrasi Jakarta Timur"), "{refusal:?}");
    let repaired = |part: &str| report.repaired.iter().filter(|n| n.reason.contains(part)).count();
    assert_eq!(
        (repaired("shape: "), repaired("\"KEMAYORAN\" on the row"), repaired("\"KALI DERES\" on the row")),
        (1, 7, 1)
    );
    assert_eq!(report.repaired.len(), 9);
    assert_eq!((report.merged.len(), plan.areas.len(), report.implied), (41, 2_700, 0));
    let area = &plan.areas[0];
    assert_eq!((area.label.as_deref(), area.name.as_str()), (Some("RW 01"), "RW 001"));
    let inside = |a: &PlannedArea| {
        a.shape.as_ref().and_then(Packed::shape).zip(a.point).is_some_and(|(shape, point)| shape.covers(point))
    };
    assert!(plan.areas.iter().all(inside));

    let (_, again) = plan_with(&[layer], &options(AreaLevel::Rw), &published(&plan, &reference));
    assert_eq!((again.accepted, again.unchanged), (2_723, 2_723));
}

#[test]
fn the_rt_list_of_jakarta_brings_its_rw_with_it_or_finds_them() {
    let reference = jakarta();
    let list = shared("jakarta-rt-list-2012/Provinsi.csv");
    let (plan, report) = plan_with(std::slice::from_ref(&list), &options(AreaLevel::Rt), &reference);
    assert_eq!((report.read, report.accepted, report.implied), (30_274, 30_274, 2_709));
    assert_eq!(plan.areas.len(), 30_274 + 2_709);
    assert_eq!(report.set_aside.iter().map(|n| n.row).collect::<Vec<_>>(), [1, 30_277]);
    assert_eq!((report.merged.len(), report.notes.len()), (0, 0));
    let villages: std::collections::BTreeSet<_> =
        plan.areas.iter().filter_map(|a| a.code.at(AreaLevel::Village)).collect();
    assert_eq!(villages.len(), 267);

    let (rws, report) = plan_with(std::slice::from_ref(&list), &options(AreaLevel::Rw), &reference);
    assert_eq!((report.accepted, rws.areas.len(), report.merged.len()), (30_274, 2_709, 0));
    let standing = published(&rws, &reference);
    let (plan, report) = plan_with(std::slice::from_ref(&list), &options(AreaLevel::Rt), &standing);
    assert_eq!((plan.areas.len(), report.implied, report.unchanged), (30_274, 0, 0));
    let (_, report) = plan_with(&[list], &options(AreaLevel::Rt), &published(&plan, &standing));
    assert_eq!(report.unchanged, 30_274);
}

#[test]
fn formats_and_layouts_that_are_not_read_are_refused_with_a_sentence() {
    let reference = jakarta();
    let refusal = |path: &str, level| refused(&[shared(path)], &options(level), &reference);
    let plain = refusal("jakarta-rt-list-2012/List of RT DKI Jakarta - updated 2012.csv", AreaLevel::Rt);
    assert!(plain.contains("the columns seen are \"GAMBIR\", \"1\", \"1\"") && plain.contains("--map"), "{plain}");
    let book = refusal("jakarta-rt-list-2012/List of RT DKI Jakarta - updated 2012.xlsx", AreaLevel::Rt);
    assert!(book.contains("is an Excel workbook"), "{book}");
    let zip = refusal("jakarta-rw-2014/rw_jakarta_update.shp.zip", AreaLevel::Rw);
    assert!(zip.contains("is a zipped shapefile"), "{zip}");
}

#[test]
fn village_boundaries_keep_a_point_inside_their_shape() {
    let reference = jakarta();
    let layer = shared("boundaries-kemendagri-2025/kel_31_dki_jakarta.geojson.gz");
    let (plan, report) = plan_with(std::slice::from_ref(&layer), &options(AreaLevel::Village), &reference);
    assert_eq!((report.accepted, plan.areas.len()), (267, 267));
    assert_eq!(report.notes.iter().filter(|n| n.reason.contains("lies outside the shape")).count(), 8);
    let (_, again) = plan_with(&[layer], &options(AreaLevel::Village), &published(&plan, &reference));
    assert_eq!(again.unchanged, 267);
}

#[test]
fn the_civil_registry_layer_needs_its_code_system_said_and_loses_its_lakes() {
    let reference = jakarta();
    let layer = shared("jakarta-kelurahan-dukcapil-2019/BATAS_DESA_DESEMBER_2019_DUKCAPIL_DKI_JAKARTA.geojson.gz");
    let unsaid = refused(std::slice::from_ref(&layer), &options(AreaLevel::Village), &reference);
    assert!(unsaid.contains("Kemendagri") && unsaid.contains("BPS"), "{unsaid}");
    let said = AreaOptions { codes: Some(CodeSystem::Kemendagri), ..options(AreaLevel::Village) };
    let (plan, report) = plan_with(&[layer], &said, &reference);
    assert_eq!((report.accepted, report.rejected.len()), (267, 2), "{:?}", report.rejected);
    assert_eq!(plan.areas.iter().filter_map(|a| a.households).sum::<i64>(), 3_543_305);
    assert!(
        plan.areas.iter().all(|a| reference.area(&a.code).is_some_and(|k| k.name == a.name)),
        "capitals rename nothing"
    );
}

#[test]
fn the_country_s_cities_are_all_taken_however_their_shapes_are_drawn() {
    let layer = shared("boundaries-kemendagri-2025/kabkota_indonesia.geojson.gz");
    let (plan, report) = plan_with(&[layer], &options(AreaLevel::City), nation());
    assert_eq!((report.read, plan.areas.len()), (514, 514), "{:?}", report.rejected);
    assert!(report.repaired.len() >= 100, "{}", report.repaired.len());
}

#[test]
fn flooded_rw_are_read_in_all_their_spellings_and_the_rest_is_listed() {
    let layer = shared("jakarta-rw-flood-2007/Jakarta_RW_2007flood.geojson.gz");
    let (_, report) = plan_with(&[layer], &options(AreaLevel::Rw), &jakarta());
    let rejected = |part: &str| report.rejected.iter().filter(|n| n.reason.contains(part)).count();
    assert_eq!(
        (report.read, rejected("no city \"JAKATA UTARA\""), rejected("\"RW 03 (4)\""), rejected("is empty")),
        (1_009, 2, 1, 1)
    );
}

#[test]
fn a_file_of_label_points_is_read_and_the_outline_column_is_named_as_ignored() {
    let table = shared("boundaries-kemendagri-2025/kel_33.76_kota_tegal.latlng.csv.gz");
    let (plan, report) = plan_with(&[table], &options(AreaLevel::Village), nation());
    assert_eq!(plan.areas.len(), 27);
    assert_eq!(report.files[0].ignored, ["path"]);
    assert!(plan.areas.iter().all(|a| a.point.is_some_and(|p| (109.0..110.0).contains(&p.lon()))));
}

/// A small Jakarta with two cities of three villages, one of them with a BPS code.
fn small() -> Reference {
    let mut gambir = known("31.71.01.1001", "Gambir");
    gambir.bps_code = Some("3173080006".into());
    Reference::new([
        known("31", "DKI Jakarta"),
        known("31.71", "Kota Administrasi Jakarta Pusat"),
        known("31.74", "Kota Administrasi Jakarta Selatan"),
        known("31.71.01", "Gambir"),
        known("31.74.01", "Tebet"),
        gambir,
        known("31.71.01.1002", "Cideng"),
        known("31.74.01.1001", "Tebet Timur"),
    ])
}

#[test]
fn codes_without_dots_are_not_taken_unless_their_system_is_said() {
    let text = "code,name\n3171,Jakarta Selatan\n";
    let refusal = refused(&[file("a.csv", text)], &options(AreaLevel::City), &small());
    assert!(refusal.contains("a.csv: row 2") && refusal.contains("Kemendagri") && refusal.contains("BPS"), "{refusal}");
    let said = AreaOptions { codes: Some(CodeSystem::Kemendagri), ..options(AreaLevel::City) };
    let (plan, report) = plan_with(&[file("a.csv", text)], &said, &small());
    assert!(
        plan.areas.is_empty() && report.rejected[0].reason.contains("are these BPS codes?"),
        "{:?}",
        report.rejected
    );
    let (plan, _) = plan_with(&[file("a.csv", "code,name\n3174,JAKARTA SELATAN\n")], &said, &small());
    assert_eq!(plan.areas[0].code.as_str(), "31.74");
    let (plan, report) =
        plan_text("code,name,kota\n31.71.01.1001,Gambir,Jakarta Selatan\n", AreaLevel::Village, &small());
    assert!(plan.areas.is_empty() && report.rejected[0].reason.contains("the row says \"Jakarta Selatan\""));
}

#[test]
fn bps_codes_are_matched_by_the_bps_code_that_stands_or_not_at_all() {
    let bps = AreaOptions { codes: Some(CodeSystem::Bps), ..options(AreaLevel::Village) };
    let text = "KDEBPS,households\n3173080006,900\n3173080007,1\n";
    let (plan, report) = plan_with(&[file("a.csv", text)], &bps, &small());
    assert_eq!((plan.areas[0].code.as_str(), plan.areas[0].households), ("31.71.01.1001", Some(900)));
    assert!(report.rejected[0].row == 3 && report.rejected[0].reason.contains("BPS code \"3173080007\""));
    let without = Reference::new([known("31.71.01.1001", "Gambir")]);
    assert!(refused(&[file("a.csv", text)], &bps, &without).contains("no area here carries a BPS code yet"));
    assert!(refused(&[file("a.csv", "code\n31.71\n")], &bps, &small()).contains("not one of BPS"));
}

#[test]
fn the_program_s_own_form_is_read_with_points_outlines_and_counts() {
    let text = "code,name,level,lon,lat,wkt,households,poor_households\n\
        31.71.01.1001.003,RW 003,rw,106.82,-6.17,,120,40\n\
        31.71.01.1001.004,RW 004,rw,,,\"POLYGON((106.8 -6.2,106.9 -6.2,106.9 -6.1,106.8 -6.2))\",,\n\
        31.71.01.1001.005,RW 005,rt,,,,,\n\
        31.71.01.1001,Gambir,,,,,,\n\
        31.71.01.1009.001,RW 001,rw,,,,,\n\
        31.71.01.1001.006,RW 006,rw,106.8,,,,\n\
        31.71.01.1001.007,RW 007,rw,,,,40,50\n\
        31.71.01.1001.008,RW 008,rw,,,POLYGON((1 2)),,\n\
        31.71.01.1001.009,RW 009,rw,,,,1.200,\n";
    let (plan, report) = plan_text(text, AreaLevel::Rw, &small());
    assert_eq!(
        plan.areas.iter().map(|a| a.code.as_str()).collect::<Vec<_>>(),
        ["31.71.01.1001.003", "31.71.01.1001.004"]
    );
    assert_eq!((plan.areas[0].households, plan.areas[0].poor_households), (Some(120), Some(40)));
    assert_eq!(plan.areas[0].point.map(LonLat::lat), Some(-6.17));
    assert!(plan.areas[1].shape.is_some() && plan.areas[1].point.is_some());
    let parts = [
        (4, "the row is about an RT"),
        (5, "is the code of a village, not of an RW"),
        (6, "its village 31.71.01.1009 is not known; import the areas of level village first"),
        (7, "lon and lat come together"),
        (8, "poor_households 50 are more than households 40"),
        (9, "encloses no area"),
        (10, "separator"),
    ];
    assert_eq!(report.rejected.len(), parts.len());
    for (note, (row, part)) in report.rejected.iter().zip(parts) {
        assert!(note.row == row && note.reason.contains(part), "{note:?}");
    }
}

#[test]
fn without_a_level_each_code_says_its_own_and_parents_in_the_run_count() {
    let top = file("b.csv", "code,name\n32.73,Kota Bandung\n32,Jawa Barat\n");
    let low = file("a.csv", "code,name\n32.73.01.1001,Sukarasa\n32.73.01,Sukasari\n32.73.02.1001,Dago\n");
    let (plan, report) = plan_with(&[low, top], &AreaOptions::default(), &Reference::default());
    assert_eq!(plan.areas.len(), 4);
    let rejected = &report.rejected[0];
    assert_eq!((rejected.row, rejected.file.as_deref()), (4, Some("a.csv")));
    assert!(rejected.reason.contains("its district 32.73.02 is not known"));
}

#[test]
fn rows_about_one_area_are_joined_and_the_first_row_counts() {
    let square =
        |west: f64| format!("\"POLYGON(({west} -6.2,{0} -6.2,{0} -6.1,{west} -6.1,{west} -6.2))\"", west + 0.1);
    let text = format!(
        "code,name,wkt,households\n31.71.01.1002.001,RW 001,{},5\n31.71.01.1002.001,RW satu,{},6\n",
        square(106.8),
        square(107.0)
    );
    let (plan, report) = plan_text(&text, AreaLevel::Rw, &small());
    let area = &plan.areas[0];
    assert_eq!((area.name.as_str(), area.households), ("RW 001", Some(5)));
    assert_eq!(area.shape.as_ref().and_then(Packed::shape).map(|s| s.polygons().0.len()), Some(2));
    assert_eq!(report.merged.iter().map(|n| n.row).collect::<Vec<_>>(), [2, 3]);
    let notes: Vec<&str> = report.notes.iter().map(|n| n.reason.as_str()).collect();
    assert!(notes.iter().any(|n| n.contains("another name, \"RW satu\" than row 2")), "{notes:?}");
    assert!(notes.iter().any(|n| n.contains("another number of households")), "{notes:?}");
}

#[test]
fn households_of_rts_are_summed_for_their_rw_only_where_all_are_given() {
    let head = "no_prop,no_kab,no_kec,no_kel,no_rw,no_rt,jumlah_kk\n";
    let all = plan_text(&format!("{head}31,71,1,1001,3,1,80\n31,71,1,1001,3,2,90\n"), AreaLevel::Rw, &small()).0;
    assert_eq!((all.areas.len(), all.areas[0].households), (1, Some(170)));
    let some = plan_text(&format!("{head}31,71,1,1001,3,1,80\n31,71,1,1001,3,2,\n"), AreaLevel::Rw, &small()).0;
    assert_eq!(some.areas[0].households, None);
    let (_, report) = plan_text(&format!("{head}31,71,10,6,3,1,80\n31,71,x,1001,3,1,80\n"), AreaLevel::Rt, &small());
    assert!(report.rejected[0].reason.contains("are these BPS codes?"));
    assert!(report.rejected[1].reason.contains("no_kec \"x\" is not a number"));
}

#[test]
fn projected_swapped_and_comma_coordinates_refuse_the_file_once_and_later_rows_one_by_one() {
    let of = |rows: &str| file("a.csv", &format!("code;lon;lat\n{rows}"));
    let refusal = |rows: &str| refused(&[of(rows)], &options(AreaLevel::Village), &small());
    assert!(refusal("31.71.01.1001;106,82;-6,17\n").contains("\"106,82\" has a decimal comma"));
    assert!(refusal("31.71.01.1001;-6.17;106.82\n").contains("axes look swapped"));
    assert!(refusal("31.71.01.1001;701234.5;9318000\n").contains("projected"));
    let good = "31.71.01.1002;106.8;-6.2\n";
    let (_, report) =
        plan_with(&[of(&format!("{good}31.71.01.1001;-6.17;106.82\n"))], &options(AreaLevel::Village), &small());
    assert_eq!((report.accepted, report.rejected[0].row, report.files[0].delimiter), (1, 3, Some(';')));
    let feature = |x: f64, y: f64| {
        format!(
            r#"{{"type":"FeatureCollection","features":[{{"type":"Feature","properties":{{"kode":"31.71.01.1001","nama":"Gambir"}},
            "geometry":{{"type":"Polygon","coordinates":[[[{x},{y}],[{0},{y}],[{0},{1}],[{x},{y}]]]}}}}]}}"#,
            x + 1.0,
            y + 1.0
        )
    };
    let refusal = |text: &str| refused(&[file("a.geojson", text)], &options(AreaLevel::Village), &small());
    assert!(refusal(&feature(701_234.0, 9_318_000.0)).contains("row 1: coordinates are not in degrees"));
    assert!(refusal(&feature(-6.0, 106.0)).contains("axes look swapped"));
}

#[test]
fn a_shape_outside_the_box_of_its_city_is_rejected() {
    let mut areas = small().areas().to_vec();
    areas[1].bounds = Bounds::new(106.7, -6.3, 106.9, -6.1).ok();
    let text = "code,wkt\n31.71.01.1001,\"POLYGON((110 -7,110.1 -7,110.1 -6.9,110 -7))\"\n";
    let (_, report) = plan_text(text, AreaLevel::Village, &Reference::new(areas));
    assert!(report.rejected[0].reason.contains("wholly outside Kota Administrasi Jakarta Pusat"));
}

#[test]
fn a_new_name_for_a_dotted_code_is_taken_and_pointed_out() {
    let (plan, report) =
        plan_text("code,name\n31.71.01.1001,Gambir Baru\n31.71.01.1002,CIDENG\n", AreaLevel::Village, &small());
    assert_eq!(plan.areas.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["Gambir Baru", "Cideng"]);
    assert_eq!((report.unchanged, report.notes.len()), (1, 1));
    assert!(report.notes[0].reason.contains("renamed from \"Gambir\" to \"Gambir Baru\""));
}

#[test]
fn a_city_s_own_alias_file_counts_like_the_built_in_one() {
    let text = "kota;kecamatan;kelurahan;rw\nJakarta Pusat;Gambir;Tjideng;1\n";
    let (_, report) = plan_text(text, AreaLevel::Rw, &small());
    assert!(
        report.rejected[0]
            .reason
            .contains("no village \"Tjideng\" is known in Kota Administrasi Jakarta Pusat (31.71)")
    );
    let mut with = options(AreaLevel::Rw);
    with.aliases.add(&file("aliases.csv", "code,alias\n31.71.01.1002,Tjideng\n")).expect("an alias");
    let (plan, report) = plan_with(&[file("a.csv", text)], &with, &small());
    assert_eq!((plan.areas[0].code.as_str(), report.matched_by.alias), ("31.71.01.1002.001", 1));
}

#[test]
fn spoiled_files_never_panic_and_every_row_is_accounted_for() {
    let seed = 317_101;
    let mut dice = Dice(seed);
    let own = "code,name,level,lon,lat,wkt,households,poor_households\n\
        31.71.01.1001.003,RW 003,rw,106.82,-6.17,,120,40\n\
        31.71.01.1001.004,RW 004,rw,,,\"POLYGON((106.8 -6.2,106.9 -6.2,106.9 -6.1,106.8 -6.2))\",,\n";
    let named = "Daftar\nKAB_KOTA;KECAMATAN;KELURAHAN;NO_RW;NO_RT\nJAKARTA PUSAT;GAMBIR;CIDENG;1;2\nTOTAL;;;;\n";
    let parts = "no_prop\tno_kab\tno_kec\tno_kel\tno_rw\tno_rt\n31\t71\t1\t1001\t3\t1\n";
    let layer = r#"{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"EPSG:4326"}},"features":[
        {"type":"Feature","properties":{"KAB_NAME":"JAKARTA PUSAT","KEC_NAME":"GAMBIR","KEL_NAME":"CIDENG","RW":"RW 01"},
        "geometry":{"type":"Polygon","coordinates":[[[106.8,-6.2],[106.9,-6.2],[106.9,-6.1],[106.8,-6.2]]]}},
        {"type":"Feature","properties":{"kode":"31.71.01.1001.003","RW":3},"geometry":{"type":"MultiPolygon","coordinates":
        [[[[106.8,-6.2],[106.9,-6.2],[106.9,-6.1],[106.8,-6.2]]],[[[106.81,-6.2],[106.9,-6.2],[106.9,-6.1],[106.81,-6.2]]]]}}]}"#;
    let reference = small();
    let runs = [
        (own, AreaLevel::Rw, None),
        (named, AreaLevel::Rt, None),
        (parts, AreaLevel::Rt, None),
        (layer, AreaLevel::Rw, None),
        (layer, AreaLevel::Rw, Some(CodeSystem::Kemendagri)),
    ];
    let mut understood = 0;
    for round in 0..6_000 {
        let (text, level, codes) = runs[round % runs.len()];
        let Ok(file) = SourceFile::new("a", dice.spoil(text.as_bytes())) else { continue };
        let options = AreaOptions { codes, ..options(level) };
        if let Ok((plan, report)) = plan_areas(&[file], &options, &reference) {
            understood += 1;
            assert_eq!(report.read, report.accepted + report.rejected.len() as u64, "seed {seed} round {round}");
            assert!(plan.areas.is_sorted_by(|a, b| a.code < b.code), "seed {seed} round {round}");
        }
    }
    assert!(understood > 1_000, "seed {seed}: only {understood} of 6000 files were understood");
}

#[test]
fn text_nested_without_end_is_refused_or_rejected() {
    let deep = "GEOMETRYCOLLECTION(".repeat(200_000);
    let (_, report) = plan_text(&format!("code,wkt\n31.71.01.1001,{deep}\n"), AreaLevel::Village, &small());
    assert_eq!(report.rejected.len(), 1);
    let brackets = "[".repeat(200_000);
    let layer = format!(
        r#"{{"type":"FeatureCollection","features":[{{"properties":{{"kode":"31.71.01.1001"}},"geometry":{{"type":"Polygon",
        "coordinates":{brackets}{}}}}}]}}"#,
        "]".repeat(200_000)
    );
    let (_, report) = plan_with(&[file("a", &layer)], &options(AreaLevel::Village), &small());
    assert!(report.rejected[0].reason.contains("not well-formed"), "{:?}", report.rejected);
}
