import numpy as np
import pytest

from keras_unet.objects import connected_components, separate_touching
from keras_unet.sample import Sample
from keras_unet.targets import ClassTarget, weight_map, weight_reach

pytestmark = pytest.mark.core


def one_hot(y, num_classes):
    """Perfect probabilities."""
    return np.eye(num_classes, dtype="float32")[y]


def touching_discs(shape=(60, 80), radius=9.6, step=16):
    """Discs that overlap their neighbours, cut where the next one starts."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    cells = np.zeros(shape, np.int32)
    centres = [range(step // 2, size, step) for size in shape]
    index = np.stack(np.meshgrid(*centres, indexing="ij")).reshape(len(shape), -1).T
    distance = np.full(shape, np.inf)
    for i, centre in enumerate(index, 1):
        own = ((grid - centre.reshape(-1, *(1,) * len(shape))) ** 2).sum(0)
        cells = np.where((own < distance) & (own < radius**2), i, cells)
        distance = np.minimum(distance, own)
    return cells.astype(np.int32)


ILL_CASES = [
    ({"num_classes": 1}, "num_classes=1"),
    ({"class_weights": [1.0]}, "class_weights needs 2"),
    ({"class_weights": [1.0, -1.0]}, "at least 0"),
    ({"threshold": 0}, "threshold=0"),
    ({"threshold": 1.0}, "threshold=1.0"),
    ({"weights": "falk"}, "'paper', 'release'.*'falk'"),
    ({"weights": {"width": 3}}, "width"),
    ({"weights": {"classes": None}}, "weights may be one of"),
    ({"weights": {"sigma": 0.0}}, "sigma must be positive"),
    ({"connectivity": 4}, "connectivity=4"),
    ({"min_size": -1}, "min_size=-1"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_constructor_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassTarget(**arguments)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"num_classes": 3, "weights": None, "class_weights": [1.0, 2.0, 3.0], "min_size": 4},
        {"weights": {"w0": 4.0, "inside": True}, "threshold": 0.3, "close_gaps": True},
        {"weights": "release", "connectivity": 2},
    ],
)
def test_config_round_trip(config):
    target = ClassTarget(**config)
    again = ClassTarget.from_config(target.get_config())
    assert again.get_config() == target.get_config()
    assert config.items() <= target.get_config().items()


def test_encode_separates_then_weighs():
    cells = np.array([[1, 1, 2, 2, 0, 0]])
    y, weights = ClassTarget().encode(cells)
    assert y.dtype == np.int32
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(y, [[1, 1, 0, 1, 0, 0]])
    np.testing.assert_array_equal(weights, weight_map(np.array([[1, 1, 0, 2, 0, 0]])))


@pytest.mark.parametrize("preset", ["paper", "release"])
def test_weights_by_preset_dict_or_none(preset):
    cells = np.array([[1, 1, 0, 0, 3, 0]])
    expected = weight_map(cells, preset=preset)
    np.testing.assert_array_equal(ClassTarget(weights=preset).encode(cells)[1], expected)
    np.testing.assert_array_equal(
        ClassTarget(weights={"preset": preset}).encode(cells)[1], expected
    )
    weighted = ClassTarget(weights=preset, class_weights=[0.25, 4.0]).encode(cells)[1]
    np.testing.assert_array_equal(
        weighted, weight_map(cells, preset=preset, class_weights=[0.25, 4.0])
    )
    plain = ClassTarget(weights=None, class_weights=[0.25, 4.0]).encode(cells)[1]
    np.testing.assert_array_equal(plain, [[4, 4, 0.25, 0.25, 4, 0.25]])
    assert (ClassTarget(weights=None).encode(cells)[1] == 1).all()


def test_not_annotated_is_minus_one_with_weight_zero():
    cells = np.array([[1, 1, 0, 2]])
    annotated = np.array([[True, False, True, False]])
    y, weights = ClassTarget().encode(cells, annotated=annotated)
    np.testing.assert_array_equal(y, [[1, -1, 0, -1]])
    np.testing.assert_array_equal(weights, np.where(annotated, weight_map(cells), 0))
    classes = np.array([[1, 1, -7, 1]])
    y, weights = ClassTarget().encode(cells, classes)
    np.testing.assert_array_equal(y, [[1, 1, -1, 1]])
    np.testing.assert_array_equal(weights, [[1, 1, 0, 1]])


def test_class_map_with_instances_has_the_gap_and_keeps_what_is_not_a_cell():
    cells = np.array([[1, 1, 2, 2, 0, 0]])
    classes = np.array([[2, 2, 1, 1, 2, 0]], "uint8")
    y, weights = ClassTarget(num_classes=3).encode(cells, classes)
    np.testing.assert_array_equal(y, [[2, 2, 0, 1, 2, 0]])
    assert weights[0, 2] > 10


@pytest.mark.parametrize("instances", [None, np.zeros((1, 4), int)])
def test_semantic_data_gets_class_weights_only(instances):
    classes = np.array([[0, 1, 2, -1]])
    target = ClassTarget(num_classes=3, class_weights=[0.5, 2.0, 3.0])
    y, weights = target.encode(instances, classes)
    np.testing.assert_array_equal(y, classes)
    np.testing.assert_array_equal(weights, [[0.5, 2, 3, 0]])


def test_encode_takes_what_a_sample_holds():
    sample = Sample(np.zeros((2, 3, 1)), instances=np.array([[1, 0, 2], [0, 0, 2]]))
    y, _ = ClassTarget().encode(sample.instances, sample.classes, sample.annotated)
    np.testing.assert_array_equal(y, sample.class_map())


ENCODE_ILL_CASES = [
    ({}, {"instances": None}, "instances or classes"),
    ({"num_classes": 3}, {}, "num_classes=3 needs a class map"),
    ({}, {"classes": np.array([[0, 1]])}, r"shape \(1, 3\)"),
    ({}, {"classes": np.array([[0, 1, 2]])}, r"values 0\.\.2"),
    ({}, {"classes": np.array([[0, 255, 0]], "uint8")}, r"values 0\.\.255"),
    ({}, {"classes": np.array([[0.0, 1.0, 0.0]])}, "float64"),
    ({}, {"annotated": np.ones((3, 1), bool)}, r"shape=\(3, 1\)"),
    ({}, {"instances": np.array([[True, False, True]])}, "mask"),
    ({"connectivity": 3}, {}, "connectivity=3"),
]


@pytest.mark.parametrize(("config", "arguments", "message"), ENCODE_ILL_CASES)
def test_encode_errors(config, arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassTarget(**config).encode(**{"instances": np.array([[1, 0, 2]]), **arguments})


@pytest.mark.parametrize("weights", ["paper", "release", None, {"w0": 2.0, "sigma": 1.5}])
def test_window_with_its_halo_equals_the_whole_image(weights):
    target = ClassTarget(weights=weights)
    halo = target.halo
    cells = touching_discs((170, 190))
    y, expected = target.encode(cells)
    window = (slice(70 - halo, 95 + halo), slice(80 - halo, 113 + halo))
    inner = (slice(halo, -halo),) * 2
    part, part_weights = target.encode(cells[window])
    np.testing.assert_array_equal(part[inner], y[70:95, 80:113])
    np.testing.assert_array_equal(part_weights[inner], expected[70:95, 80:113])


def test_halo_is_the_reach_and_the_gap():
    assert ClassTarget().halo == weight_reach() + 1
    assert ClassTarget(weights=None).halo == 1
    assert ClassTarget(num_classes=5).num_outputs == 5
    assert ClassTarget().target_channels is None


def test_activate_is_a_stable_softmax():
    logits = np.array([[[0.0, 0.0], [1e4, -1e4], [np.log(3), 0.0], [-2e4, -2e4]]])
    expected = [[[0.5, 0.5], [1, 0], [0.75, 0.25], [0.5, 0.5]]]
    result = ClassTarget().activate(logits)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("method", ["activate", "decode"])
def test_number_of_channels_is_checked(method):
    for shape in ((3, 4), (3, 4, 3), (2,)):
        with pytest.raises(ValueError, match=r"\(\*spatial, 2\)"):
            getattr(ClassTarget(), method)(np.zeros(shape))


def test_decode_is_arg_max_at_one_half():
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1, 1], (9, 13)).astype("float32")
    decoded = ClassTarget(num_classes=4).decode(probabilities)
    np.testing.assert_array_equal(decoded.classes, probabilities.argmax(-1))
    np.testing.assert_array_equal(decoded.instances > 0, decoded.classes > 0)
    assert decoded.classes.dtype == decoded.instances.dtype == np.int32


def test_decode_threshold():
    foreground = np.array([[0.1, 0.29, 0.31, 0.6, 0.71, 0.9]])
    probabilities = np.stack([1 - foreground, foreground], -1)
    for threshold in (0.3, 0.5, 0.7):
        decoded = ClassTarget(threshold=threshold).decode(probabilities)
        np.testing.assert_array_equal(decoded.classes, foreground > threshold)
    three = np.array([[[0.5, 0.3, 0.2], [0.3, 0.3, 0.4]]])  # 0.3 / 0.8, 0.4 / 0.7
    assert ClassTarget(3, threshold=0.35).decode(three).classes.tolist() == [[1, 2]]
    assert ClassTarget(3, threshold=0.55).decode(three).classes.tolist() == [[0, 2]]
    assert ClassTarget(3, threshold=0.6).decode(three).classes.tolist() == [[0, 0]]


def test_components_of_different_classes_are_different_instances():
    y = np.array([[1, 1, 2, 2, 0, 1], [0, 0, 0, 2, 0, 0]])
    decoded = ClassTarget(num_classes=3).decode(one_hot(y, 3))
    np.testing.assert_array_equal(decoded.instances, [[1, 1, 3, 3, 0, 2], [0, 0, 0, 3, 0, 0]])
    small = ClassTarget(num_classes=3, min_size=2).decode(one_hot(y, 3))
    np.testing.assert_array_equal(small.instances, [[1, 1, 2, 2, 0, 0], [0, 0, 0, 2, 0, 0]])
    np.testing.assert_array_equal(small.classes, [[1, 1, 2, 2, 0, 0], [0, 0, 0, 2, 0, 0]])


def test_connectivity_of_decoding():
    y = np.eye(3, 4, dtype=int)
    assert ClassTarget().decode(one_hot(y, 2)).instances.max() == 3
    assert ClassTarget(connectivity=2).decode(one_hot(y, 2)).instances.max() == 1


def test_decode_closes_gaps_in_classes_too():
    y = np.array([[1, 1, 0, 2, 0, 0, 1]])
    decoded = ClassTarget(num_classes=3, close_gaps=True).decode(one_hot(y, 3))
    np.testing.assert_array_equal(decoded.instances, [[1, 1, 3, 3, 0, 0, 2]])
    np.testing.assert_array_equal(decoded.classes, [[1, 1, 2, 2, 0, 0, 1]])


@pytest.mark.parametrize("empty", [0, 1])
def test_decode_one_class_everywhere(empty):
    decoded = ClassTarget().decode(one_hot(np.full((4, 5), empty), 2))
    np.testing.assert_array_equal(decoded.classes, np.full((4, 5), empty))
    np.testing.assert_array_equal(decoded.instances, np.full((4, 5), empty))


@pytest.mark.parametrize("shape", [(60, 80), (30, 40, 35)])
@pytest.mark.parametrize("connectivity", [1, 2])
def test_round_trip(shape, connectivity):
    cells = touching_discs(shape)
    target = ClassTarget(connectivity=connectivity)
    y, _ = target.encode(cells)
    assert connected_components(cells > 0).max() < cells.max()  # they do touch
    decoded = target.decode(one_hot(y, 2))
    np.testing.assert_array_equal(decoded.instances, separate_touching(cells, connectivity))
    closed = ClassTarget(connectivity=connectivity, close_gaps=True).decode(one_hot(y, 2))
    wrong = (closed.instances != cells).mean()
    # in space, more of the pixels where cells meet lie in a corner, between no two faces
    part = 1 / 3 if len(shape) == 2 else 2 / 3
    assert wrong < part * (decoded.instances != cells).mean()


def test_round_trip_of_touching_rectangles_is_exact():
    cells = np.kron(np.array([[1, 2, 3]]), np.ones((6, 5), int))
    target = ClassTarget(close_gaps=True)
    y, _ = target.encode(cells)
    np.testing.assert_array_equal(target.decode(one_hot(y, 2)).instances, cells)
