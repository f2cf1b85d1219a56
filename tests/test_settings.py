"""Settings: every name and value is checked, the nearest one is suggested."""

import dataclasses
import math

import pytest

from sep_helpers.settings import APART, NEWER, SITTING, Settings, SettingsError


@pytest.mark.parametrize("values, said", [
    ({"optimiser": "adam"}, "unknown setting 'optimiser': did you mean 'optimizer'?"),
    ({"learing_rate": 1e-3}, "unknown setting 'learing_rate': did you mean 'learning_rate'?"),
    ({"optimizer": "adamm"}, "unknown optimizer 'adamm': did you mean 'adam"),
    ({"optimizer": "lion"}, "unknown optimizer 'lion': choose from adam, adamw"),
    ({"schedule": "cosine"}, "unknown schedule 'cosine': did you mean 'warmup_cosine'?"),
    ({"objective": "sisnr"}, "unknown objective 'sisnr': did you mean 'si_snr'?"),
    ({"precision": "fp32"}, "unknown precision 'fp32'"),
    ({"epochs": 0}, "epochs=0 must be at least 1"),
    ({"batch": 0}, "batch=0 must be at least 1"),
    ({"batch": 2.0}, "batch=2.0 must be int, as in 4"),
    ({"epochs": True}, "epochs=True must be int"),
    ({"learning_rate": "fast"}, "learning_rate='fast' must be float"),
    ({"learning_rate": math.nan}, "learning_rate=nan must be float"),
    ({"learning_rate": -1.0}, "learning_rate=-1.0 must lie from 0"),
    ({"gamma": 1.5}, "gamma=1.5 must lie from 0 to 1"),
    ({"ema_decay": 2.0}, "ema_decay=2.0 must lie from 0 to 1"),
    ({"max_minutes": -1.0}, "max_minutes=-1.0 must be 0 or more"),
])
def test_what_makes_no_sense_is_one_line(values, said):
    with pytest.raises(SettingsError) as error:
        Settings.of(values)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_yaml_writes_small_numbers_as_text():
    assert Settings.of({"learning_rate": "1e-3", "clip": 5}) == Settings(learning_rate=1e-3, clip=5)


def test_the_outcome_leaves_out_how_one_sitting_goes_about_it():
    a = Settings(workers=2, save_every=7, save_share=0.5, max_minutes=3)
    assert a.outcome() == Settings().outcome()
    everything = {f.name for f in dataclasses.fields(Settings)} - {*SITTING}
    assert set(dataclasses.replace(a, gamma=0.1).outcome()) == everything - {*APART}
    assert set(Settings(objective="conv_sep", assignment="fixed").outcome()) >= set(APART)


def test_the_terms_of_conv_sep_name_the_stems():
    with pytest.raises(SettingsError, match="take assignment='fixed'"):
        Settings(objective="conv_sep")
    with pytest.raises(SettingsError, match="alpha=2 must lie from 0 to 1"):
        Settings(alpha=2)


def test_a_newer_setting_stands_in_a_config_only_where_it_is_used():
    """So that a run from before there was such a setting can be gone on with."""
    assert set(Settings(gamma=0.1).outcome()) - set(Settings().outcome()) == set(NEWER) == {"gamma"}
