from setuptools import Extension, setup

setup(name="barrel", version="1.0", ext_modules=[Extension("barrel", ["barrel.c"])])
