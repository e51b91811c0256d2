print("Pickled lemons")
