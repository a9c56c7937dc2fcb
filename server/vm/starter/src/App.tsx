import BeingBuilt from './screens/BeingBuilt'

export default function App() {
  return <BeingBuilt />
}
