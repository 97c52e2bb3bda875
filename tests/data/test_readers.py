import csv
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.stats
import soundfile

from data import DataError, Location
from data.readers import cwru, folder, mfpt

SIGNAL = np.random.default_rng(0).standard_normal(60000)


def save(path: Path, **variables) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {n: v[:, None] if isinstance(v, np.ndarray) else v for n, v in variables.items()})
    return path


class TestCwru:
    def test_the_catalogue_holds_the_official_161_recordings(self):
        entries = cwru.catalogue()
        assert len(entries) == 161
        assert sum(e.location is Location.NORMAL for e in entries.values()) == 4
        assert {e.sampling_rate_hz for e in entries.values() if e.location is Location.NORMAL} == {48000.0}

    def test_published_facts_of_single_numbers(self):
        entry = cwru.catalogue()[135]
        assert (entry.end, entry.sampling_rate_hz, entry.location, entry.size_mil, entry.position, entry.load_hp) == (
            "drive",
            48000.0,
            Location.OUTER,
            7,
            "6:00",
            0,
        )
        assert cwru.catalogue()[3005].size_mil == 28
        assert cwru.catalogue()[217].load_hp == 3

    def test_the_ten_class_task_has_forty_recordings(self):
        assert len(cwru.chosen("fault")) == 40
        assert {cwru.catalogue()[n].position for n in cwru.chosen("fault")} == {None, "6:00"}

    def test_any_nesting_is_found_by_number(self, tmp_path):
        save(tmp_path / "12k" / "inner" / "105.mat", X105_DE_time=SIGNAL, X105RPM=1797)
        save(tmp_path / "97.mat", X097_DE_time=SIGNAL)
        assert [r.name for r in cwru.read(tmp_path)] == ["97", "105"]

    def test_a_file_with_two_recordings_gives_its_own(self, tmp_path):
        path = save(tmp_path / "99.mat", X098_DE_time=SIGNAL + 1, X099_DE_time=SIGNAL, X098RPM=1772, X099RPM=1750)
        recording = cwru.read_file(path, 99)
        np.testing.assert_allclose(recording.signal("DE"), SIGNAL)
        assert recording.shaft_speed_hz == pytest.approx(1750 / 60)

    def test_a_foreign_variable_name_is_taken_where_it_is_the_only_one(self, tmp_path):
        path = save(tmp_path / "3001.mat", X056_DE_time=SIGNAL)
        recording = cwru.read_file(path, 3001)
        assert len(recording.signal("DE")) == len(SIGNAL)

    def test_a_missing_rpm_is_the_nominal_speed_of_the_load(self, tmp_path):
        path = save(tmp_path / "3003.mat", X058_DE_time=SIGNAL)
        assert cwru.read_file(path, 3003).shaft_speed_hz == pytest.approx(1750 / 60)

    def test_a_stray_variable_is_passed_over(self, tmp_path):
        path = save(tmp_path / "278.mat", X278_DE_time=SIGNAL, X278_FE_time=SIGNAL, i=3.0)
        assert set(cwru.read_file(path, 278).channels) == {"DE", "FE"}

    def test_the_normal_baseline_is_48_khz_and_faults_12(self, tmp_path):
        assert cwru.read_file(save(tmp_path / "97.mat", X097_DE_time=SIGNAL), 97).sampling_rate_hz == 48000
        assert cwru.read_file(save(tmp_path / "105.mat", X105_DE_time=SIGNAL), 105).sampling_rate_hz == 12000

    def test_two_foreign_recordings_are_refused(self, tmp_path):
        path = save(tmp_path / "105.mat", X098_DE_time=SIGNAL, X099_DE_time=SIGNAL)
        with pytest.raises(DataError, match="expected the variable X105_DE_time"):
            cwru.read_file(path, 105)

    @pytest.mark.parametrize("name", ["118_0", "B007_0", "mirror 118@6"])
    def test_a_renamed_file_is_known_by_its_variable(self, tmp_path, name):
        save(tmp_path / f"{name}.mat", X118_DE_time=SIGNAL)
        save(tmp_path / "97.mat", X097_DE_time=SIGNAL)
        save(tmp_path / "notes.mat", something=SIGNAL)
        assert [r.name for r in cwru.read(tmp_path)] == ["97", "118"]

    def test_a_renamed_174_and_3003_are_known_by_their_odd_variables(self, tmp_path):
        save(tmp_path / "IR014_0.mat", X173_DE_time=SIGNAL)
        save(tmp_path / "IR028_2.mat", X058_DE_time=SIGNAL)
        assert [r.name for r in cwru.read(tmp_path)] == ["174", "3003"]

    def test_a_file_that_may_be_either_of_two_recordings_is_named(self, tmp_path):
        both = {"X098_DE_time": SIGNAL, "X099_DE_time": SIGNAL}
        save(tmp_path / "Normal_2.mat", **both)
        with pytest.raises(DataError, match=r"Normal_2.mat: it holds variables of X098, X099; it is not clear"):
            cwru.read(tmp_path)
        (tmp_path / "Normal_2.mat").rename(tmp_path / "99_Normal_2.mat")
        assert [r.name for r in cwru.read(tmp_path)] == ["99"]

    def test_a_name_and_a_variable_that_disagree_are_refused(self, tmp_path):
        save(tmp_path / "105.mat", X118_DE_time=SIGNAL)
        with pytest.raises(DataError, match="name says recording 105, its variable X118 says 118"):
            cwru.read(tmp_path)

    def test_a_number_twice_is_refused(self, tmp_path):
        save(tmp_path / "a" / "105.mat", X105_DE_time=SIGNAL)
        save(tmp_path / "b" / "105.mat", X105_DE_time=SIGNAL)
        with pytest.raises(DataError, match="exists twice"):
            cwru.read(tmp_path)

    @pytest.mark.parametrize("make", [False, True])
    def test_an_empty_or_missing_folder_says_how_to_fetch(self, tmp_path, make):
        root = tmp_path / "none"
        if make:
            root.mkdir()
        with pytest.raises(DataError, match="fetch"):
            cwru.read(root)

    def test_kurtosis_of_real_drive_end_records_is_that_of_the_published_files(self, bearing_data):
        # Computed once with scipy.stats from files whose MD5 is the published one, DE channel, whole record.
        for number, kurtosis in {105: 5.40, 118: 2.98, 130: 7.65, 169: 21.96, 197: 3.06, 209: 7.45, 234: 21.01}.items():
            x = cwru.read_file(bearing_data / f"{number}.mat", number).signal("DE")
            assert scipy.stats.kurtosis(x, fisher=False) == pytest.approx(kurtosis, abs=0.006)

    def test_every_real_recording_reads(self, bearing_data):
        recordings = cwru.read(bearing_data)
        assert len(recordings) == 45
        assert all(9.9 < r.duration_s < 10.4 for r in recordings if r.sampling_rate_hz == 12000)


class TestMfpt:
    @staticmethod
    def bearing(path: Path, rate: float = 48828.0, load: float = 100.0, **extra) -> Path:
        return save(path, bearing={"gs": SIGNAL[:, None], "sr": rate, "rate": 25.0, "load": load, **extra})

    def test_structures_are_read_with_rate_speed_and_load(self, tmp_path):
        self.bearing(tmp_path / "1 - Three Baseline Conditions" / "baseline_1.mat", rate=97656.0, load=270.0)
        self.bearing(tmp_path / "4 - Seven Inner" / "InnerRaceFault_vload_1.mat", load=0.0)
        self.bearing(tmp_path / "3 - Seven More" / "OuterRaceFault_vload_7.mat", load=300.0)
        self.bearing(tmp_path / "6 - Real World Examples" / "IntermediateSpeedBearing.mat")
        recordings = {r.name: r for r in mfpt.read(tmp_path)}
        assert set(recordings) == {"baseline_1", "InnerRaceFault_vload_1", "OuterRaceFault_vload_7"}
        normal = recordings["baseline_1"]
        assert (normal.sampling_rate_hz, normal.shaft_speed_hz, normal.load) == (97656.0, 25.0, 270.0)
        assert normal.fault is not None
        assert normal.fault.location is Location.NORMAL
        assert recordings["OuterRaceFault_vload_7"].fault.location is Location.OUTER

    def test_a_structure_without_rate_names_the_field(self, tmp_path):
        save(tmp_path / "baseline_1.mat", bearing={"gs": SIGNAL[:, None]})
        with pytest.raises(DataError, match=r"lacks bearing.sr"):
            mfpt.read(tmp_path)


class TestFolder:
    def test_classes_are_sub_folders_and_formats_mix(self, tmp_path):
        for name in ("normal", "broken"):
            (tmp_path / name).mkdir()
        soundfile.write(tmp_path / "normal" / "a.wav", 0.1 * SIGNAL[:9000], 8000)
        np.savez(tmp_path / "broken" / "b.npz", x=SIGNAL, fs=12000)
        recordings = folder.read(tmp_path)
        assert [(r.label, r.sampling_rate_hz) for r in recordings] == [("broken", 12000), ("normal", 8000)]

    def test_a_missing_sampling_rate_names_file_and_option(self, tmp_path):
        (tmp_path / "normal").mkdir()
        np.save(tmp_path / "normal" / "a.npy", SIGNAL)
        with pytest.raises(DataError, match="sampling rate is missing") as caught:
            folder.read(tmp_path)
        assert "--sampling-rate" in caught.value.remedy
        assert folder.read(tmp_path, sampling_rate_hz=5000)[0].sampling_rate_hz == 5000

    def test_a_sheet_names_machines(self, tmp_path):
        for name in ("normal", "worn"):
            (tmp_path / name).mkdir()
            np.savez(tmp_path / name / "a.npz", x=SIGNAL, fs=12000)
        (tmp_path / "recordings.csv").write_text("file,machine\nnormal/a.npz, pump 3\nworn/a.npz,\n")
        assert [r.machine for r in folder.read(tmp_path)] == ["pump 3", None]

    def test_a_sheet_gives_rate_speed_load_and_size(self, tmp_path):
        (tmp_path / "inner").mkdir()
        np.save(tmp_path / "inner" / "a.npy", SIGNAL)
        with (tmp_path / "recordings.csv").open("w") as file:
            csv.writer(file).writerows(
                [["file", "sampling_rate_hz", "rpm", "load", "size_mm"], ["inner/a.npy", 9000, 1500, 2, ""]]
            )
        recording = folder.read(tmp_path)[0]
        assert (recording.sampling_rate_hz, recording.shaft_speed_hz, recording.load) == (9000, 25, 2)
        assert recording.fault is not None
        assert recording.fault.location is Location.INNER

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("file,colour\nx,red\n", "colour are not understood"),
            ("file,rpm\nnormal/a.npy,fast\n", "line 2"),
            ("file,rpm\nnormal/other.npy,5\n", "does not exist"),
            ("file,load\nnormal/a.npy,nan\n", "line 2, column load: got 'nan'; expected a finite number"),
            ("file,rpm\nnormal/a.npy,-inf\n", "column rpm: got '-inf'; expected a number above 0"),
            ("file,sampling_rate_hz\nnormal/a.npy,0\n", "column sampling_rate_hz: got '0'"),
            ("file,rpm\nnormal/a.npy,5,6\n", "line 2: more values than columns"),
            ("file,rpm\nnormal/a.npy,5\nnormal/a.npy,6\n", "line 3: normal/a.npy is described twice"),
        ],
    )
    def test_a_wrong_sheet_names_column_or_line(self, tmp_path, text, message):
        (tmp_path / "normal").mkdir()
        np.save(tmp_path / "normal" / "a.npy", SIGNAL)
        (tmp_path / "recordings.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            folder.read(tmp_path, 1000.0)

    def test_folders_of_sites_are_not_taken_for_classes(self, tmp_path):
        for site in ("site1", "site2"):
            for name in ("normal", "worn"):
                (tmp_path / site / name).mkdir(parents=True)
                np.savez(tmp_path / site / name / "a.npz", x=SIGNAL, fs=1000)
        with pytest.raises(DataError, match=r"site1, site2 would be the classes, but they hold folders named normal"):
            folder.read(tmp_path)

    def test_a_rate_of_zero_in_a_file_is_refused_and_not_replaced(self, tmp_path):
        (tmp_path / "normal").mkdir()
        np.savez(tmp_path / "normal" / "a.npz", x=SIGNAL, fs=0)
        with pytest.raises(DataError, match="must be above 0 Hz; got 0"):
            folder.read(tmp_path, 1000.0)

    def test_an_empty_class_is_refused(self, tmp_path):
        (tmp_path / "normal").mkdir()
        with pytest.raises(DataError, match="no recording in this class"):
            folder.read(tmp_path)

    def test_spaces_accents_and_depth_are_fine(self, tmp_path):
        deep = tmp_path / "mes données" / "défaut bague" / "été 2024"
        deep.mkdir(parents=True)
        np.savez(deep / "a b.npz", x=SIGNAL, fs=1000)
        assert folder.read(tmp_path / "mes données")[0].label == "défaut bague"
