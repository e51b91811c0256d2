from prices import with_tax


def test_nothing_costs_nothing():
    assert with_tax(0) == 0


def test_a_jar():
    assert with_tax(100) == 119.0


def test_ten_jars():
    assert with_tax(1000) == 1190.0
