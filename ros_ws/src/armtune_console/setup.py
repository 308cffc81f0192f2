from setuptools import find_packages, setup

NAME = "armtune_console"

setup(
    name=NAME,
    version="0.1.0",
    description="The web app of the operator",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["web/static/*"]},
    install_requires=[
        "numpy",
        "opencv-python-headless",
        "prometheus-client",
        "psutil",
        "pyyaml",
        "starlette",
        "uvicorn",
        "websockets>=15",
    ],
    extras_require={"foxglove": ["foxglove-sdk"], "rerun": ["rerun-sdk"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml", "views/grafana.json", "views/foxglove.json"]),
    ],
    entry_points={"console_scripts": ["console_node = armtune_console.console_node:main"]},
)
