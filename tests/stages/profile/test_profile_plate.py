"""Layout, controls, normalisation and the whole of a plate."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from hts.errors import RecipeError
from hts.stages.profile import ProfileParams, control_kinds, profile_plate
from hts.stages.profile.plate import normalize

pytestmark = pytest.mark.usefixtures("text_type")

CONTROLS = {"negative": "Compound == 'DMSO'", "positive": "Dose > 5"}


def layout():
    """Twelve wells: four DMSO, two of the highest dose, doses between."""
    return pd.DataFrame(
        {
            "Well": [f"B{column:02d}" for column in range(1, 13)],
            "Compound": ["DMSO"] * 4 + ["x"] * 7 + [None],
            "Dose": [0.0] * 4 + [0.1, 0.3, 1, 3, 5, 10, 10, 3],
            "Kind of well": [-1] * 4 + [0] * 5 + [1, 1, 0],
        }
    )


def rows():
    """What the wells measured: B13 is in no layout, B12 was not imaged."""
    wells = [f"B{column:02d}" for column in [*range(1, 12), 13]]
    values = [1.0, 2, 3, 2, 2.5, 3, 6, 9, 10, 11, 12, 5]
    columns = {"Metadata_FieldsUsed": 2, "Metadata_FieldsExpected": 2, "Count_Nuclei": np.arange(50.0, 62)}
    return pd.DataFrame({"Metadata_Plate": "P", "Metadata_Well": wells, **columns, "Mean_X": values, "Mean_Same": 3.0})


def params(**settings):
    return ProfileParams(**{"readout": "Mean_X", "controls": CONTROLS, **settings})


class TestControls:
    def kinds(self, **queries):
        return control_kinds(layout(), ProfileParams(controls=queries))

    def test_wells_are_negative_positive_or_samples(self):
        kinds = self.kinds(**CONTROLS)
        assert [well for well in kinds if kinds[well] == "negative"] == ["B01", "B02", "B03", "B04"]
        assert [well for well in kinds if kinds[well] == "positive"] == ["B10", "B11"]
        assert len(kinds) == 12
        assert set(self.kinds().values()) == {"sample"}

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("`Kind of well` == -1", 4),
            ("Dose == 0 and Compound == 'DMSO'", 4),
            ("Dose in [0, 10]", 6),
            ("not Dose > 0", 4),
            ("Compound.str.startswith('DM')", 4),  # B12 has no compound
            ("Compound != 'DMSO'", 8),
            ("Well == 'B07'", 1),
        ],
    )
    def test_queries_as_people_write_them(self, query, count):
        assert list(self.kinds(negative=query).values()).count("negative") == count

    def test_a_well_is_not_both(self):
        message = (
            r"profile\.controls\.negative and profile\.controls\.positive pick different(.|\n)*both pick B10, B11\n"
        )
        with pytest.raises(RecipeError, match=message):
            self.kinds(negative="Dose > 4", positive="Dose > 5")

    @pytest.mark.parametrize("kind", ["negative", "positive"])
    def test_a_query_picks_a_well(self, kind):
        message = rf"profile\.controls\.{kind} picks at least one well\n  found: none for 'Dose > 99'(.|\n)*Well, Comp"
        with pytest.raises(RecipeError, match=message):
            self.kinds(**{kind: "Dose > 99"})

    @pytest.mark.parametrize(
        "query",
        [
            "Controls == 1",
            "Compound == DMSO",
            "Compound == 'DMSO",
            "(Dose == 1",
            "Dose == 1)",
            "Dose ==",
            "Compound > 1",
            "Dose.nothing()",
            "lambda: 1",
            "`Dose",
            "Dose == 0; Dose == 1",
            "Dose == 0\nDose == 1",
            "1 / 0 == Dose",
        ],
    )
    def test_what_is_no_query_names_the_key_and_the_columns(self, query):
        message = r"profile\.controls\.negative is a query on the layout columns Well, Compound, Dose, Kind of well\n"
        with pytest.raises(RecipeError, match=message):
            self.kinds(negative=query)

    @pytest.mark.parametrize("query", ["Dose", "1", "[1, 2]", "True", "not `Kind of well`", "Dose = 0", "Dose + 1"])
    def test_a_query_is_true_or_false(self, query):
        message = r"profile\.controls\.positive is true or false for every well; the layout columns are Well, Compound"
        with pytest.raises(RecipeError, match=message):
            self.kinds(positive=query)


class TestNormalize:
    features = ("Mean_X", "Mean_Same", "Count_Nuclei")

    def table(self, n_negative=4):
        kinds = ["negative"] * n_negative + ["sample"] * (12 - n_negative)
        return rows().assign(Metadata_Control=kinds)

    def test_standardize_gives_negatives_a_mean_of_0_and_an_sd_of_1(self):
        table, unsteady = normalize(self.table(), list(self.features), "standardize")
        assert unsteady == 1
        assert table["Mean_Same"].isna().all()
        negative = rows()["Mean_X"][:4]
        expected = (rows()["Mean_X"] - negative.mean()) / negative.std(ddof=0)
        np.testing.assert_allclose(table["Mean_X"], expected, rtol=1e-12)
        assert table["Mean_X"][:4].mean() == pytest.approx(0)
        assert table["Mean_X"][:4].std(ddof=0) == pytest.approx(1)

    def test_mad_robustize_refers_to_median_and_mad(self):
        table, unsteady = normalize(self.table(), list(self.features), "mad_robustize")
        assert unsteady == 1
        negative = rows()["Count_Nuclei"][:4]
        mad = 1.4826 * (negative - negative.median()).abs().median()
        np.testing.assert_allclose(table["Count_Nuclei"], (rows()["Count_Nuclei"] - negative.median()) / mad, rtol=1e-4)

    @pytest.mark.parametrize("method", ["standardize", "mad_robustize"])
    def test_as_pycytominer_does_it(self, method):
        from pycytominer import normalize as peer

        table = self.table().drop(columns="Mean_Same")
        meta = [name for name in table if name.startswith("Metadata_")]
        chosen = {"features": ["Mean_X", "Count_Nuclei"], "meta_features": meta}
        expected = peer(table, samples="Metadata_Control == 'negative'", method=method, **chosen)
        found, unsteady = normalize(table, chosen["features"], method)
        assert unsteady == 0
        pd.testing.assert_frame_equal(found, expected[found.columns], check_dtype=False)

    @pytest.mark.parametrize("method", ["standardize", "mad_robustize"])
    def test_the_columns_and_wells_stay_in_place(self, method):
        table, _ = normalize(self.table(), list(self.features), method)
        meta = [name for name in self.table() if name.startswith("Metadata_")]
        assert list(table.columns) == [*meta, *self.features]
        assert table["Metadata_Well"].tolist() == rows()["Metadata_Well"].tolist()

    @pytest.mark.parametrize("method", ["standardize", "mad_robustize"])
    @pytest.mark.parametrize("level", [0.1, 1 / 3, 3.3e5, 1e-9])
    def test_rounding_is_no_variation(self, method, level):
        """Means of equal cells differ in their last digit."""
        table = self.table(n_negative=11)
        table["Mean_X"] = level * (1 + np.finfo(float).eps * (np.arange(12) % 3))
        table.loc[11, "Mean_X"] = 5 * level
        found, unsteady = normalize(table, ["Mean_X", "Count_Nuclei"], method)
        assert unsteady == 1
        assert found["Mean_X"].isna().all()
        assert np.isfinite(found["Count_Nuclei"]).all()

    def test_nothing_varies(self):
        found, unsteady = normalize(self.table(), ["Mean_Same"], "standardize")
        assert unsteady == 1
        assert found["Mean_Same"].isna().all()
        assert found["Metadata_Well"].tolist() == rows()["Metadata_Well"].tolist()

    @pytest.mark.parametrize("method", ["standardize", "mad_robustize"])
    def test_a_well_without_a_value_stays_without(self, method):
        table = self.table()
        table.loc[[1, 8], "Mean_X"] = np.nan
        found, _ = normalize(table, list(self.features), method)
        assert found["Mean_X"].isna().tolist() == table["Mean_X"].isna().tolist()

    @pytest.mark.parametrize(("n_negative", "method"), [(0, "standardize"), (1, "mad_robustize"), (4, "none")])
    def test_without_controls_the_profiles_are_unchanged(self, n_negative, method):
        table = self.table(n_negative)
        found, unsteady = normalize(table, list(self.features), method)
        pd.testing.assert_frame_equal(found, table)
        assert found is not table
        assert unsteady == 0


class TestPlate:
    def test_wells_keep_their_order_and_get_their_layout(self):
        table = profile_plate(rows(), layout(), params()).profiles
        assert table["Metadata_Well"].tolist() == rows()["Metadata_Well"].tolist()
        assert table["Metadata_Control"].tolist() == ["negative"] * 4 + ["sample"] * 5 + ["positive"] * 2 + ["sample"]
        assert table["Metadata_Dose"].tolist()[:11] == layout()["Dose"].tolist()[:11]
        assert table[["Metadata_Dose", "Metadata_Compound"]].iloc[-1].isna().all()
        kinds = [name.startswith("Metadata_") for name in table.columns]
        assert kinds == sorted(kinds, reverse=True)
        pd.testing.assert_frame_equal(table[["Mean_X", "Count_Nuclei"]], rows()[["Mean_X", "Count_Nuclei"]])

    def test_quality_is_about_the_controls(self):
        result = profile_plate(rows(), layout(), params(features=["Mean_*"]))
        quality = json.loads(json.dumps(result.quality))
        negative, positive = np.array([1.0, 2, 3, 2]), np.array([11.0, 12])
        spread = negative.std(ddof=1), positive.std(ddof=1)
        assert quality["readout"] == "Mean_X"
        assert quality["z_prime"] == pytest.approx(1 - 3 * sum(spread) / 9.5)
        assert quality["ssmd"] == pytest.approx(9.5 / np.hypot(*spread))
        assert (quality["n_negative"], quality["n_positive"], quality["not_normalized"]) == (4, 2, 1)
        assert [row["feature"] for row in quality["features"]] == ["Mean_X", "Count_Nuclei", "Mean_Same"]
        assert quality["features"][2] == {"feature": "Mean_Same", "z_prime": None, "ssmd": None}
        assert quality["ec50"] == result.fit["ec50"]

    def test_the_dose_table_has_the_wells_with_a_dose(self):
        result = profile_plate(rows(), layout(), params())
        assert result.dose_name == "Dose"
        assert result.dose["Well"].tolist() == rows()["Metadata_Well"].tolist()[:11]
        assert result.dose["Dose"].tolist() == layout()["Dose"].tolist()[:11]
        assert result.dose["Value"].tolist() == rows()["Mean_X"].tolist()[:11]
        assert result.dose["Kind"].value_counts().to_dict() == {"sample": 5, "negative": 4, "positive": 2}
        assert 0.3 < result.fit["ec50"] < 3

    @pytest.mark.parametrize("settings", [{"dose": None}, {}])
    def test_no_dose_no_curve(self, settings):
        plain = layout() if settings else layout().drop(columns="Dose")
        queries = {"negative": CONTROLS["negative"]}
        result = profile_plate(rows(), plain, params(controls=queries, **settings))
        assert (result.dose, result.fit, result.dose_name) == (None, None, "")
        assert "ec50" not in result.quality

    def test_too_few_doses_for_a_curve(self):
        few = layout().assign(Dose=[0.0] * 4 + [1.0] * 5 + [10.0] * 3)
        result = profile_plate(rows(), few, params())
        assert result.fit is None
        assert result.quality["ec50"] is None
        assert len(result.dose) == 11

    @pytest.mark.parametrize(
        "layout",
        [
            pd.DataFrame({"Well": ["B01", "B02"]}),
            pd.DataFrame({"Well": ["H01"], "Compound": ["x"]}),
            pd.DataFrame({"Well": [], "Compound": []}, dtype=object),
        ],
        ids=["wells alone", "other wells", "no wells"],
    )
    def test_without_a_description_every_well_is_a_sample(self, layout):
        result = profile_plate(rows(), layout, ProfileParams())
        assert result.profiles["Metadata_Control"].tolist() == ["sample"] * 12
        assert result.quality["z_prime"] is None
        assert (result.quality["n_negative"], result.quality["n_positive"]) == (0, 0)
        pd.testing.assert_frame_equal(result.normalized, result.profiles)

    def test_layout_columns_do_not_push_ours_aside(self):
        crowded = layout().assign(Plate="Q", Control=9, FieldsUsed=5)
        table = profile_plate(rows(), crowded, params()).profiles
        assert table["Metadata_Plate"].tolist() == ["P"] * 12
        assert table["Metadata_Control"].tolist()[0] == "negative"
        assert table["Metadata_FieldsUsed"].tolist() == [2] * 12
        assert table["Metadata_Layout_Plate"].tolist()[:11] == ["Q"] * 11
        assert table["Metadata_Layout_Control"].tolist()[:11] == [9] * 11
        assert table.columns.is_unique

    def test_normalized_has_the_columns_of_profiles(self):
        result = profile_plate(rows(), layout(), params())
        assert list(result.normalized.columns) == list(result.profiles.columns)
        assert result.normalized["Mean_X"][:4].mean() == pytest.approx(0)
        assert result.normalized["Metadata_Control"].tolist() == result.profiles["Metadata_Control"].tolist()

    def test_an_unknown_readout_names_the_nearest(self):
        with pytest.raises(
            RecipeError, match=r"profile\.readout names a profile column\n  found: 'Mean_Y'(.|\n)*Mean_X"
        ):
            profile_plate(rows(), layout(), params(readout="Mean_Y"))

    def test_an_unknown_feature_names_what_is_near_it(self):
        with pytest.raises(
            RecipeError, match=r"profile\.features names(.|\n)*'Count_Nuclej'\n.*near names: Count_Nuclei"
        ):
            profile_plate(rows(), layout(), params(features=["Count_Nuclej"]))

    def test_the_input_stays_as_it_is(self):
        measured, described = rows(), layout()
        profile_plate(measured, described, params())
        pd.testing.assert_frame_equal(measured, rows())
        pd.testing.assert_frame_equal(described, layout())
