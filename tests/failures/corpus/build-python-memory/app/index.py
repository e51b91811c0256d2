print("reading 3 million products")
index = [bytearray(1_000_000) for _ in range(3000)]
