# The public names, and where they are: `__init__.py` reads them from here.

from .errors import DataError as DataError
from .errors import SpecError as SpecError
from .errors import UsageError as UsageError
from .errors import WarehouseError as WarehouseError
from .errors import WhyrankError as WhyrankError
from .pipeline.build import build as build
from .pipeline.calibrate import calibrate as calibrate
from .pipeline.calibrate_shape import calibrate_shape as calibrate_shape
from .pipeline.compare import compare as compare
from .pipeline.connect import ingest_connector as ingest_connector
from .pipeline.demo import demo as demo
from .pipeline.doctor import doctor as doctor
from .pipeline.evaluate import evaluate as evaluate
from .pipeline.export import export_features as export_features
from .pipeline.frames import rank_events as rank_events
from .pipeline.generate import generate as generate
from .pipeline.ingest import ingest as ingest
from .pipeline.init import init as init
from .pipeline.score import explain as explain
from .pipeline.score import score as score
from .pipeline.train import train as train
from .spec.load import load_spec as load_spec
from .spec.load import parse_spec as parse_spec
from .tracking import open_store as open_store
from .warehouse.open import open_warehouse as open_warehouse

__version__: str
