import ctypes

print("loading image library")
ctypes.string_at(0)
